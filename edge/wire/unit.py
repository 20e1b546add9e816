"""The unit's own configuration: `unit.toml`, written by `menshen-provision`, read at start.

Unknown keys are refused, so that a misspelt one is an error and not ignored. Paths are relative to
the file.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge.wire import keys
from edge.wire.decode import DecodeError, read_toml
from edge.wire.door_inputs import INPUTS, Input
from edge.wire.trust import Group, Name

UNLOCK_MS_MAX = 10_000

Bcm = Annotated[int, msgspec.Meta(ge=2, le=27)]
"""A pin by its Broadcom number; 0 and 1 belong to the HAT's EEPROM."""


_UART = ("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0")
_UART_PINS = (14, 15)
"""The Pi's own serial port, and the pins that it uses (Raspberry Pi documentation, UART)."""


FIT_FOR_RELAY = frozenset({17, *range(22, 28)})
FIT_FOR_OUTPUT = frozenset(range(9, 28)) - frozenset(_UART_PINS)
"""Low from power-on until the program starts: 0 to 8 are pulled up at reset (BCM2835 ARM
Peripherals, table 6-31), 14 and 15 move at boot. A relay needs a pin that no boot stage and no
usual overlay touches, too (hardware/pins.toml, `relay`)."""


class ConfigError(ValueError):
    """The configuration cannot be used; one sentence that says what is wrong and what to do."""


FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\0]+$")]
"""A path, relative to the configuration's own folder."""
Host = Annotated[
    str,
    msgspec.Meta(
        max_length=253,
        pattern=r"^([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)(?!\n)$",
    ),
]
"""A host's name or address (RFC 1123)."""


class _ConfigTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class CameraConfig(_ConfigTable, frozen=True, kw_only=True):
    """Which eyes. `source`: a folder of pictures, a video device, or the serial port of a barcode
    imager (imagers.md); the Pi's camera needs none.
    """

    kind: Literal["picamera", "pictures", "webcam", "imager"] = "picamera"
    source: Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^[^\0]*$")] = ""
    width: Annotated[int, msgspec.Meta(ge=320, le=4096)] = 1280
    height: Annotated[int, msgspec.Meta(ge=240, le=3072)] = 720
    frames_per_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 15
    small_width: Annotated[int, msgspec.Meta(ge=64, le=640)] = 320
    small_height: Annotated[int, msgspec.Meta(ge=48, le=480)] = 180
    """The low resolution in which is noticed that something moved, and how the camera sees."""
    shutter_us_max: Annotated[int, msgspec.Meta(ge=100, le=100_000)] = 4167
    """No frame is exposed longer; what light is missing comes from gain and the illuminator.

    Two modules of motion blur defeat every decoder. A symbol of version 12 with its quiet zone is
    73 modules on about 50 mm of a phone's screen: 0.7 mm each. 1/240 s lets a hand move at
    0.16 m/s for one module and 0.33 m/s for two; and it is a whole period of the slowest
    dimming of OLED screens (240 Hz), of which a part would leave dark bands across the symbol.
    """
    gain_max: Annotated[float, msgspec.Meta(ge=1, le=64)] = 16.0
    focus_m: Annotated[float, msgspec.Meta(ge=0.05, le=10)] | None = None
    """Where a lens that can focus is held; absent: it follows what is near (autofocus)."""
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    """Of an imager's serial line; one on USB does not care."""


class DoorPins(_ConfigTable, frozen=True, kw_only=True):
    """Outputs and inputs by Broadcom number; hardware/pins.toml is where they come from."""

    green: Bcm
    red: Bcm
    buzzer: Bcm
    relay: Bcm
    illuminator: Bcm | None = None
    turn: Bcm | None = None
    turn_out: Bcm | None = None
    contact: Bcm | None = None
    exit_button: Bcm | None = None
    fire: Bcm | None = None
    help_button: Bcm | None = None
    tamper: Bcm | None = None


class _DoorTimes(_ConfigTable, frozen=True, kw_only=True, tag_field="kind"):
    """What both ways of driving a door have. Who may pass is in the site's rules (rules.md)."""

    unlock_ms: Annotated[int, msgspec.Meta(ge=100, le=UNLOCK_MS_MAX)] = 3000
    held_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 30
    """A door that is open for longer is held open: the buzzer reminds, and an alarm is raised."""


class DirectDoor(_DoorTimes, frozen=True, kw_only=True, tag="direct"):
    """Relay, lights and inputs on the unit's own pins (hardware/README.md)."""

    pins: DoorPins

    @property
    def wired(self) -> frozenset[Input]:
        """The inputs that are there."""
        return frozenset(name for name in INPUTS if getattr(self.pins, name) is not None)


class ControllerDoor(_DoorTimes, frozen=True, kw_only=True, tag="osdp"):
    """Relay, lights and inputs on a controller on the safe side (firmware/README.md)."""

    port: FileName  # the serial port towards it
    key: FileName = "controller.key"  # the pair's own key: 32 hexadecimal digits
    address: Annotated[int, msgspec.Meta(ge=0, le=126)] = 0
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 115200
    inputs: list[Input] = []  # which of the controller's inputs are wired
    illuminator: Bcm | None = None  # the lamp stays beside the camera, on the unit's own pin

    @property
    def wired(self) -> frozenset[Input]:
        """The inputs that are there."""
        return frozenset(self.inputs)


DoorConfig = DirectDoor | ControllerDoor


class CountsConfig(_ConfigTable, frozen=True, kw_only=True):
    """How often closed cells are sent; the site's rules say when cells close."""

    report_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60


class ClockConfig(_ConfigTable, frozen=True, kw_only=True):
    """What the unit may learn the time from, beside its broker's signed answers (time.md)."""

    rtc: FileName = "/sys/class/rtc/rtc0/since_epoch"  # not there: no RTC
    rtc_ppm: Annotated[float, msgspec.Meta(ge=0.1, le=500)] = 10.0
    """Maxim's DS3231: ±3.5 ppm from -40 to 85 °C and ±5 ppm of ageing in ten years (19-5170)."""
    system: bool = False  # only where chrony with NTS keeps the system's clock


class BrokerConfig(_ConfigTable, frozen=True, kw_only=True):
    """The way to the centre. Without it a unit decides just the same and keeps its counts."""

    host: Host
    ca: FileName
    certificate: FileName
    key: FileName
    collector_key: str  # base64 of the 32 bytes that acknowledgements are verified with
    time_key: str  # base64 of the 32 bytes that answers to "what time is it" are verified with
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 60


class UnitConfig(_ConfigTable, frozen=True, kw_only=True):
    """The whole file."""

    name: Name
    site: Name
    groups: Annotated[list[Group], msgspec.Meta(min_length=1, max_length=16)]
    door: DoorConfig
    trust: FileName = "trust"  # the folder of the first repository, with root.json (trust.md)
    trust_stick: FileName | None = None  # where a stick with a newer one is looked for
    state: FileName = "state"  # the folder for what must outlive a power cut
    decoder: Literal["zxing-cpp", "pyzbar", "both"] = "both"
    board: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,32}(?!\n)$")] | None = None
    camera: CameraConfig = CameraConfig()
    counts: CountsConfig = CountsConfig()
    clock: ClockConfig = ClockConfig()
    broker: BrokerConfig | None = None


def read(path: Path) -> UnitConfig:
    """Read and check `unit.toml`; its paths come back absolute. Raises ConfigError."""
    try:
        unit = read_toml(path, UnitConfig)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); name the unit.toml of this unit's card"
        ) from None
    except DecodeError as error:
        raise ConfigError(f"{path} is not a unit's configuration: {error}") from None
    _check(unit, path)
    return _absolute(unit, path.resolve().parent)


def _check(unit: UnitConfig, path: Path) -> None:
    pins = _pins(unit.door)
    taken: dict[int, str] = {}
    for use, pin in pins.items():
        if pin in taken:
            raise ConfigError(
                f"{path}: pin {pin} is used twice, for {taken[pin]} and for {use}; "
                f"give each its own, as hardware/pins.toml does"
            )
        taken[pin] = use
    if "turn_out" in unit.door.wired and "turn" not in unit.door.wired:
        raise ConfigError(
            f"{path}: turn_out is wired and turn is not; who is inside is known from both or not"
        )
    if unit.camera.small_width > unit.camera.width or unit.camera.small_height > unit.camera.height:
        raise ConfigError(f"{path}: camera.small_width and small_height are larger than the frame")
    if unit.camera.kind != "picamera" and not unit.camera.source:
        raise ConfigError(f"{path}: camera.kind {unit.camera.kind!r} needs camera.source")
    if unit.camera.kind == "imager":
        _check_imager(unit.camera.source, path)
        _check_port(unit.camera.source, "the imager", taken, path)
    if isinstance(unit.door, ControllerDoor):
        if not unit.door.port.startswith("/"):
            raise ConfigError(
                f"{path}: door.port {unit.door.port!r} is no serial port; "
                "name the controller's: /dev/ttyAMA0, or one of `ls /dev/serial/by-id/*`"
            )
        if unit.camera.kind == "imager" and unit.camera.source == unit.door.port:
            raise ConfigError(
                f"{path}: {unit.door.port} is named for the imager and for the controller; "
                "each needs a serial port of its own"
            )
        _check_port(unit.door.port, "the controller", taken, path)
    _check_outputs(unit.door, path)
    broker_keys = (unit.broker.collector_key, unit.broker.time_key) if unit.broker else ()
    for key in broker_keys:
        try:
            keys.public_from_text(key)
        except keys.KeyFileError as error:
            raise ConfigError(f"{path}: {error}") from None


def _check_outputs(door: DoorConfig, path: Path) -> None:
    """No output on a pin that is high, or moves, before the program holds it."""
    pins = _pins(door)
    for use in ("relay", "green", "red", "buzzer", "illuminator"):
        fit = FIT_FOR_RELAY if use == "relay" else FIT_FOR_OUTPUT
        if use in pins and pins[use] not in fit:
            range_text = "17 or 22 to 27" if use == "relay" else "9 to 13 or 16 to 27"
            raise ConfigError(
                f"{path}: {use} on pin {pins[use]} could be on while the unit boots; "
                f"take {range_text}, as hardware/pins.toml does"
            )


def _pins(door: DoorConfig) -> dict[str, int]:
    """The unit's own pins by what they are used for."""
    if isinstance(door, ControllerDoor):
        return {} if door.illuminator is None else {"illuminator": door.illuminator}
    return {k: v for k, v in msgspec.structs.asdict(door.pins).items() if v is not None}


def _check_imager(port: str, path: Path) -> None:
    if not port.startswith("/"):
        raise ConfigError(
            f"{path}: camera.source {port!r} is no serial port; "
            "name the imager's from `ls /dev/serial/by-id/*`"
        )
    if port.startswith(("/dev/input", "/dev/hidraw")):
        raise ConfigError(
            f"{path}: {port} is a keyboard, which is not listened to; switch the imager to USB-COM "
            "and name its port from `ls /dev/serial/by-id/*`"
        )


def _check_port(port: str, of: str, taken: dict[int, str], path: Path) -> None:
    """`taken`: what each pin is used for."""
    for pin in _UART_PINS if port in _UART else ():
        if pin in taken:
            raise ConfigError(
                f"{path}: pin {pin} is used twice, for {taken[pin]} and for the serial port {port} "
                f"of {of}; give each its own, or use USB for {of}"
            )


def _absolute(unit: UnitConfig, base: Path) -> UnitConfig:
    def full(name: str) -> str:
        return str(base / name)

    replace = msgspec.structs.replace
    clock = replace(unit.clock, rtc=full(unit.clock.rtc))
    unit = replace(unit, trust=full(unit.trust), state=full(unit.state), clock=clock)
    if unit.trust_stick is not None:
        unit = replace(unit, trust_stick=full(unit.trust_stick))
    if isinstance(unit.door, ControllerDoor):
        unit = replace(unit, door=replace(unit.door, key=full(unit.door.key)))
    if unit.camera.kind == "pictures":
        unit = replace(unit, camera=replace(unit.camera, source=full(unit.camera.source)))
    if unit.broker:
        broker = unit.broker
        unit = replace(
            unit,
            broker=replace(
                broker,
                ca=full(broker.ca),
                certificate=full(broker.certificate),
                key=full(broker.key),
            ),
        )
    return unit
