"""Each thread of the unit by name: an unforeseen error ends the program, with the relay at rest."""

import time
from pathlib import Path
from typing import Any, cast

import pytest
from gpiozero.pins.mock import MockFactory

from edge.adapters.camera.camera_scanner import CameraScanner
from edge.adapters.camera.imager import Imager
from edge.adapters.camera.stall_recovery import LentFrame, StallRecovery
from edge.adapters.door.gpio_door import GpioDoor
from edge.adapters.door.osdp_door import OsdpDoor
from edge.adapters.trust.tuf_trust import TufTrust
from edge.doorway import door_signals
from edge.doorway.door_signals import DoorAction, Signal
from edge.threads import ThreadFailed, Threads
from edge.wire.unit import CameraConfig, ControllerDoor, DoorPins
from tests.controller import Cable
from tests.edge.adapters.trust.test_tuf import TrustFolders, place

__all__ = ["place"]  # a fixture


def raises(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("our own bug")


def failure(threads: Threads, most_s: float = 10) -> str:
    """The sentence of the failed thread, once there is one."""
    until_s = time.monotonic() + most_s
    while time.monotonic() < until_s:
        try:
            threads.check()
        except ThreadFailed as error:
            assert isinstance(error.__cause__, ZeroDivisionError)
            return str(error)
        time.sleep(0.02)
    raise AssertionError("no thread has failed")


def test_door_and_the_relay_is_at_rest() -> None:
    threads, factory = Threads(), MockFactory()
    door = GpioDoor(DoorPins(green=22, red=27, buzzer=12, relay=17), factory, threads=threads)
    door.apply(door_signals.action(Signal.OPEN, 8000))
    assert factory.pin(17).state
    door.apply(cast("DoorAction", BrokenAction()))
    assert failure(threads) == "the thread door failed: ZeroDivisionError: our own bug"
    assert not factory.pin(17).state
    door.close()


class BrokenAction:
    """An action whose steps cannot be read."""

    unlock_ms = 0

    @property
    def steps(self) -> object:
        raise ZeroDivisionError("our own bug")


@pytest.mark.system
def test_a_controllers_door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    threads = Threads()
    monkeypatch.setattr(OsdpDoor, "_turn", raises)
    cable = Cable(tmp_path / "line")
    door = OsdpDoor(ControllerDoor(port=str(cable.path)), bytes(range(16)), threads=threads)
    assert "the thread door failed: ZeroDivisionError" in failure(threads)
    door.close()
    cable.unplug()


class BrokenDriver:
    """A camera's driver that raises what no driver should."""

    def open(self) -> None: ...

    def restart(self) -> None: ...

    def close(self) -> None: ...

    def take(self) -> LentFrame | None:
        raise ZeroDivisionError("our own bug")


def test_camera() -> None:
    threads = Threads()
    camera = StallRecovery(BrokenDriver(), threads=threads)
    assert failure(threads) == "the thread camera failed: ZeroDivisionError: our own bug"
    camera.close()


class BrokenCamera:
    """A camera that raises what no camera should."""

    latest = staticmethod(raises)

    def close(self) -> None: ...


@pytest.mark.system
def test_scanner() -> None:
    threads = Threads()
    scanner = CameraScanner(BrokenCamera(), "both", threads=threads)
    assert failure(threads) == "the thread scanner failed: ZeroDivisionError: our own bug"
    scanner.close()


def test_imager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    threads = Threads()
    monkeypatch.setattr(Imager, "_note_gone", raises)  # there is no such port
    config = CameraConfig(kind="imager", source=str(tmp_path / "none"))
    imager = Imager(config, threads)
    assert failure(threads) == "the thread imager failed: ZeroDivisionError: our own bug"
    imager.close()


def test_trust(place: TrustFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads()
    folders = place.card, place.folder / "state"
    trust = TufTrust(*folders, "campus", lambda bundle: bundle, place.at, threads=threads)
    monkeypatch.setattr(trust, "_try", raises)
    monkeypatch.setattr("edge.adapters.trust.schedule.SourceSchedule.take_due", lambda *_: True)
    trust.start()
    assert failure(threads) == "the thread trust failed: ZeroDivisionError: our own bug"
    trust.close()


def test_no_thread_starts_unwatched() -> None:
    """Every thread of the unit is started by Threads, except the page of `menshen-edge look`."""
    starters = [
        path.relative_to(EDGE).as_posix()
        for path in EDGE.rglob("*.py")
        if "threading.Thread(" in path.read_text("utf-8")
    ]
    assert sorted(starters) == ["look/page.py", "threads.py"]


EDGE = Path(__file__).parents[3] / "edge"
