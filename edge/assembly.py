"""Assembles a unit: opens the adapters that unit.toml names, in order, and closes them."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edge.adapters.rtc import SysfsRtc
from edge.adapters.storage import ram
from edge.adapters.storage.clock_slots import Slots
from edge.adapters.system_clock import SystemClock
from edge.adapters.trust.tuf_trust import TufTrust
from edge.clock.time_interval import NEVER_S
from edge.doorway.door_signals import Signal, action
from edge.doorway.ports import Door
from edge.judge import trust_documents
from edge.judge.trust_documents import Bundle
from edge.judge.verdict import Place, TrustState
from edge.loop import Ports, UnitSettings
from edge.parts import DoorLost, WorldFailure
from edge.passing.lane import Sensors
from edge.passing.ports import RestartMemory
from edge.report.ports import Uplink
from edge.sight.ports import FrameSource, Scanner
from edge.wire import keys, pair_key
from edge.wire import unit as unit_file
from edge.wire.trust import TrustError
from edge.wire.unit import UnitConfig


def bundle_reader(unit: UnitConfig) -> Callable[[Bundle], TrustState]:
    """A function that reads verified trust documents for the door of `unit`."""
    return lambda bundle: trust_documents.read(bundle, unit.site, frozenset(unit.groups))


def _open_trust(unit: UnitConfig, clock: SystemClock) -> TufTrust[TrustState]:
    stick = Path(unit.trust_stick) if unit.trust_stick else None
    folders = Path(unit.trust), Path(unit.state)
    return TufTrust(*folders, unit.site, bundle_reader(unit), clock.glance, stick)


def place_of(unit: UnitConfig) -> Place:
    """Where this door is."""
    return Place(frozenset(unit.groups), unit.site, unit.name)


def settings_of(unit: UnitConfig) -> UnitSettings:
    """The part of unit.toml that the loop needs."""
    collector = unit.broker.collector_key if unit.broker else ""
    time_key = unit.broker.time_key if unit.broker else ""
    return UnitSettings(
        unlock_ms=unit.door.unlock_ms,
        report_s=unit.counts.report_s,
        held_s=unit.door.held_s,
        collector_key=keys.public_from_text(collector) if collector else b"",
        sensors=Sensors("turn" in unit.door.wired, "turn_out" in unit.door.wired),
        site=unit.site,
        unit=unit.name,
        time_key=keys.public_from_text(time_key) if time_key else b"",
    )


@contextmanager
def open_world(unit: UnitConfig) -> Iterator[tuple[Ports, TrustState]]:
    """The adapters of `unit`, and its trust state at the start.

    All adapters are closed at the end, also after an error; the door is closed first.
    """
    from edge.adapters.storage.counts import DiskCountStore

    with ExitStack() as stack:
        door = open_door(unit.door)
        stack.callback(door.close)
        try:
            store = DiskCountStore(
                Path(unit.state), f"{unit.site}/{unit.name}", random.SystemRandom()
            )
            stack.callback(store.close)
            clock = _open_clock(unit, _open_memory(ram.SYNC))
            stack.callback(clock.close)
            memory = _open_memory(ram.PASSED)
            scanner = open_scanner(unit)
            stack.callback(scanner.close)
            trust = _open_trust(unit, clock)
            stack.callback(trust.close)
        except (WorldFailure, TrustError, ImportError):
            # systemd restarts the program, so the light flashes about every three seconds
            not_ready = action(Signal.NOT_READY)
            with suppress(DoorLost):  # a controller without a connection flashes by itself
                door.apply(not_ready)
                time.sleep(not_ready.lasts_ms / 1000)
            raise
        uplink: Uplink | None = None
        if unit.broker:
            from edge.adapters.mqtt import MqttUplink

            uplink = connection = MqttUplink(
                unit,
                unit.broker,
                store.installation,
                store.session,
                clock.interval,
                trust.inbox.put,
            )
            trust.inbox.again = connection.request_trust_documents
            stack.callback(uplink.close)
        trust_state = trust.latest()
        assert trust_state is not None  # noqa: S101 -- else TufTrust had raised TrustError
        trust.start()
        stack.callback(door.close)  # closed first; the second call does nothing
        yield (
            Ports(clock, scanner, door, store, uplink, memory, trust),
            trust_state,
        )


def open_door(door: unit_file.DoorConfig) -> Door:
    """The door that unit.toml names, opened. Raises DoorLost."""
    if isinstance(door, unit_file.ControllerDoor):
        key = pair_key.read(Path(door.key))
        from edge.adapters.door.osdp_door import OsdpDoor

        return OsdpDoor(door, key)
    from edge.adapters.door.gpio_door import GpioDoor

    return GpioDoor(door.pins)


def has_illuminator(door: unit_file.DoorConfig) -> bool:
    """Whether unit.toml names a pin for an illuminator."""
    pins = door.pins if isinstance(door, unit_file.DirectDoor) else door
    return pins.illuminator is not None


def _open_memory(file: str) -> RestartMemory:
    """A file in the RAM folder that systemd creates. If the program was started by hand, there is
    no such folder, and a restart forgets the data.
    """
    folders = os.environ.get("RUNTIME_DIRECTORY", "")
    return ram.RamFile(Path(folders.split(":")[0]), file=file) if folders else ram.ProcessMemory()


def _open_clock(unit: UnitConfig, memory: RestartMemory) -> SystemClock:
    config = unit.clock
    clock = SystemClock(
        Slots(Path(unit.state)), SysfsRtc(Path(config.rtc)), config.rtc_ppm, config.system, memory
    )
    if unit.broker is None and clock.interval().latest_s == NEVER_S:
        logging.getLogger("menshen").warning(
            "this door is unsure of the time: it has no broker and no RTC that was ever synced; "
            "fit an RTC, and connect the unit to its broker once"
        )
    return clock


def open_scanner(unit: UnitConfig, camera: FrameSource | None = None) -> Scanner:
    """The scanner of `unit`; it reads from `camera` if one is given."""
    if unit.camera.kind == "imager":
        from edge.adapters.camera.imager import Imager

        return Imager(unit.camera)
    from edge.adapters.camera.camera_scanner import CameraScanner

    return CameraScanner(camera or open_camera(unit.camera), unit.decoder)


def open_camera(camera: unit_file.CameraConfig) -> FrameSource:
    """The camera that unit.toml names, opened. Raises CameraLost."""
    if camera.kind == "pictures":
        from edge.adapters.camera.pictures import PictureFolder

        return PictureFolder(Path(camera.source))
    from edge.adapters.camera.stall_recovery import StallRecovery

    if camera.kind == "webcam":
        from edge.adapters.camera.webcam import Webcam

        return StallRecovery(Webcam(camera))
    from edge.adapters.camera.picamera import PiCamera

    return StallRecovery(PiCamera(camera))
