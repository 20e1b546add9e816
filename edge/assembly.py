"""Assembles a unit: opens the adapters that unit.toml names, in order, and closes them."""

import logging
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge.adapters.reopening import (
    ReopeningDoor,
    ReopeningScanner,
    ReopeningStore,
    ReopeningTrust,
)
from edge.adapters.rtc import SysfsRtc
from edge.adapters.storage import ram
from edge.adapters.storage.clock_slots import Slots
from edge.adapters.system_clock import SystemClock
from edge.adapters.trust.tuf_trust import TufTrust
from edge.clock.time_interval import NEVER_S
from edge.doorway.ports import Door
from edge.judge import trust_documents
from edge.judge.trust_documents import Bundle
from edge.judge.verdict import Place, TrustState
from edge.loop import Ports, UnitSettings
from edge.passing.lane import Sensors
from edge.passing.ports import RestartMemory
from edge.report.ports import Uplink
from edge.sight.ports import FrameSource, Scanner
from edge.threads import Threads
from edge.wire import keys, pair_key
from edge.wire import unit as unit_file
from edge.wire.trust import Issuers, Trust, TrustError
from edge.wire.unit import UnitConfig


def bundle_reader(unit: UnitConfig) -> Callable[[Bundle], TrustState]:
    """A function that reads verified trust documents for the door of `unit`."""
    return lambda bundle: trust_documents.read(bundle, unit.site, frozenset(unit.groups))


def _open_trust(unit: UnitConfig, clock: SystemClock, threads: Threads) -> TufTrust[TrustState]:
    stick = Path(unit.trust_stick) if unit.trust_stick else None
    folders = Path(unit.trust), Path(unit.state)
    return TufTrust(*folders, unit.site, bundle_reader(unit), clock.glance, stick, threads)


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
def open_world(unit: UnitConfig, threads: Threads) -> Iterator[tuple[Ports, TrustState]]:
    """The ports of `unit`, and its trust state at the start; no issuer if it has no documents.

    A door, camera, store or trust documents that cannot be opened now are opened later; until then
    their ports raise what a lost part raises. All are closed at the end, also after an error; the
    door is closed first.
    """
    from edge.adapters.storage.counts import DiskCountStore

    state = Path(unit.state)
    with ExitStack() as stack:
        door = ReopeningDoor(door_opener(unit.door, threads))
        stack.callback(door.close)
        clock = _open_clock(unit, _open_memory(ram.SYNC))
        stack.callback(clock.close)
        store = ReopeningStore(
            lambda: DiskCountStore(
                state,
                f"{unit.site}/{unit.name}",
                random.SystemRandom(),
                lambda: clock.glance().powered_s,
            ),
            random.SystemRandom(),
        )
        stack.callback(store.close)
        memory = _open_memory(ram.PASSED)
        trust, trust_state = _start_trust(unit, clock, threads)
        stack.callback(trust.close)
        uplink: Uplink | None = None
        if unit.broker:
            from edge.adapters.mqtt import MqttUplink

            uplink = connection = MqttUplink(
                unit,
                unit.broker,
                lambda: (store.installation, store.session),
                clock.interval,
                trust.put,
                threads,
            )
            trust.again = connection.request_trust_documents
            stack.callback(uplink.close)
        scanner = ReopeningScanner(lambda: open_scanner(unit, threads=threads), threads)
        stack.callback(scanner.close)
        stack.callback(door.close)  # the first to be closed; a second call does nothing
        yield Ports(clock, scanner, door, store, uplink, memory, trust), trust_state


def _start_trust(
    unit: UnitConfig, clock: SystemClock, threads: Threads
) -> tuple[ReopeningTrust, TrustState]:
    """The unit's trust documents and their state; no issuer where they cannot be read yet."""

    def open_trust() -> TufTrust[TrustState]:
        return _open_trust(unit, clock, threads)

    try:
        trust = open_trust()
    except TrustError as error:
        return ReopeningTrust(open_trust, threads, failure=str(error)), _nobody_trusted()
    trust_state = trust.latest()
    assert trust_state is not None  # noqa: S101 -- or it had raised TrustError
    return ReopeningTrust(open_trust, threads, first=trust), trust_state


def _nobody_trusted() -> TrustState:
    return TrustState(Trust(Issuers(version=1, signed_s=0, issuers=[])))


def door_opener(door: unit_file.DoorConfig, threads: Threads | None = None) -> Callable[[], Door]:
    """What opens the door that unit.toml names; it raises DoorLost.

    Raises ConfigError for a key file that is wrong, and ImportError for a missing library.
    """
    if isinstance(door, unit_file.ControllerDoor):
        key = pair_key.read(Path(door.key))
        from edge.adapters.door.osdp_door import OsdpDoor

        return lambda: OsdpDoor(door, key, threads=threads)
    from edge.adapters.door.gpio_door import GpioDoor

    return lambda: GpioDoor(door.pins, threads=threads)


def open_door(door: unit_file.DoorConfig) -> Door:
    """The door that unit.toml names, opened. Raises DoorLost."""
    return door_opener(door)()


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


def open_scanner(
    unit: UnitConfig, camera: FrameSource | None = None, threads: Threads | None = None
) -> Scanner:
    """The scanner of `unit`; it reads from `camera` if one is given."""
    if unit.camera.kind == "imager":
        from edge.adapters.camera.imager import Imager

        return Imager(unit.camera, threads)
    from edge.adapters.camera.camera_scanner import CameraScanner

    camera = camera or open_camera(unit.camera, threads)
    return CameraScanner(camera, unit.decoder, threads=threads)


def open_camera(camera: unit_file.CameraConfig, threads: Threads | None = None) -> FrameSource:
    """The camera that unit.toml names, opened. Raises CameraLost."""
    if camera.kind == "pictures":
        from edge.adapters.camera.pictures import PictureFolder

        return PictureFolder(Path(camera.source))
    from edge.adapters.camera.stall_recovery import StallRecovery

    if camera.kind == "webcam":
        from edge.adapters.camera.webcam import Webcam

        return StallRecovery(Webcam(camera), threads=threads)
    from edge.adapters.camera.picamera import PiCamera

    return StallRecovery(PiCamera(camera), threads=threads)
