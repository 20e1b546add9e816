"""unit.toml: what is wrong is told in one sentence, and nothing misspelt is ignored."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.wire import keys, unit

KEY = keys.public_to_text(keys.private_key(bytes(32)).public)
PINS = {"green": 22, "red": 27, "buzzer": 13, "relay": 17}
BROKER = {
    "host": "broker.example.org",
    "ca": "ca.pem",
    "certificate": "unit.pem",
    "key": "/elsewhere/unit.key",
    "collector_key": KEY,
    "time_key": KEY,
}


def wanted(**more: Any) -> dict[str, Any]:
    return {
        "name": "north-1",
        "site": "campus",
        "groups": ["campus/north"],
        "door": {"kind": "direct", "pins": PINS},
        **more,
    }


def write(folder: Path, content: dict[str, Any] | bytes) -> Path:
    path = folder / "unit.toml"
    data = content if isinstance(content, bytes) else msgspec.toml.encode(content)
    path.write_bytes(data)
    return path


def refused(folder: Path, content: dict[str, Any] | bytes, why: str) -> None:
    path = write(folder, content)
    with pytest.raises(unit.ConfigError, match=why) as caught:
        unit.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_least_that_a_unit_needs(tmp_path: Path) -> None:
    read = unit.read(write(tmp_path, wanted()))
    assert read.door.unlock_ms == 3000
    assert read.counts.report_s == 60
    assert (read.trust, read.trust_stick) == (str(tmp_path / "trust"), None)
    assert read.camera.kind == "picamera"
    assert read.broker is None


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "card").mkdir()
    camera = {"kind": "pictures", "source": "seen"}
    trust = {"trust": "../trust", "trust_stick": "usb"}
    write(tmp_path / "card", wanted(broker=BROKER, camera=camera, **trust))
    monkeypatch.chdir(tmp_path)
    read = unit.read(Path("card/unit.toml"))
    card = tmp_path / "card"
    assert Path(read.trust).resolve() == tmp_path / "trust"
    assert read.trust_stick == str(card / "usb")
    assert read.state == str(card / "state")
    assert read.camera.source == str(card / "seen")
    assert read.broker is not None
    assert read.broker.ca == str(card / "ca.pem")
    assert read.broker.certificate == str(card / "unit.pem")
    assert read.broker.key == "/elsewhere/unit.key"


def test_a_video_device_is_no_path_on_the_card(tmp_path: Path) -> None:
    camera = {"kind": "webcam", "source": "/dev/video0"}
    assert unit.read(write(tmp_path, wanted(camera=camera))).camera.source == "/dev/video0"


@pytest.mark.parametrize(
    ("where", "key"),
    [
        ((), "nmae"),
        (("door",), "unlock"),
        (("door", "pins"), "yellow"),
        (("counts",), "K"),
        (("camera",), "exposure"),
        (("broker",), "password"),
    ],
    ids=str,
)
def test_an_unknown_key_is_told(tmp_path: Path, where: tuple[str, ...], key: str) -> None:
    content = tomllib.loads(
        msgspec.toml.encode(wanted(broker=BROKER, counts={}, camera={})).decode()
    )
    at = content
    for step in where:
        at = at[step]
    at[key] = 1
    refused(tmp_path, content, f"unknown field `{key}`")


@pytest.mark.parametrize("key", ["name", "site", "groups", "door"])
def test_a_missing_key_is_told(tmp_path: Path, key: str) -> None:
    content = wanted()
    del content[key]
    refused(tmp_path, content, f"missing required field `{key}`")


@pytest.mark.parametrize("second", ["red", "illuminator", "tamper"])
def test_a_pin_used_twice_is_told(tmp_path: Path, second: str) -> None:
    pins = PINS | {second: PINS["green"]}
    refused(
        tmp_path,
        wanted(door={"kind": "direct", "pins": pins}),
        f"pin 22 is used twice, for green and for {second}; give each its own",
    )


def test_a_way_out_without_a_way_in_is_told(tmp_path: Path) -> None:
    refused(
        tmp_path,
        wanted(door={"kind": "direct", "pins": PINS | {"turn_out": 26}}),
        "turn_out is wired and turn",
    )
    both = wanted(door={"kind": "direct", "pins": PINS | {"turn": 23, "turn_out": 26}})
    assert unit.read(write(tmp_path, both)).door.pins.turn_out == 26


@pytest.mark.parametrize("use", ["relay", "green", "red", "buzzer", "illuminator"])
@pytest.mark.parametrize("pin", [2, 8, 14, 15, 18])
def test_an_output_that_is_on_while_booting_is_told(tmp_path: Path, use: str, pin: int) -> None:
    content = wanted(door={"kind": "direct", "pins": PINS | {use: pin}})
    if use != "relay" and pin == 18:
        unit.read(write(tmp_path, content))
        return
    fit = "17 or 22 to 27" if use == "relay" else "9 to 13 or 16 to 27"
    refused(tmp_path, content, f"{use} on pin {pin} could be on while the unit boots; take {fit}")


def test_a_lamp_beside_a_controller_is_held_to_the_same(tmp_path: Path) -> None:
    door = {"kind": "osdp", "port": "/dev/ttyUSB0", "illuminator": 4}
    refused(tmp_path, wanted(door=door), "illuminator on pin 4 could be on while the unit boots")


@pytest.mark.parametrize("pin", [-1, 0, 1, 28, "17", 5.5, True])
def test_a_pin_that_the_header_does_not_have(tmp_path: Path, pin: Any) -> None:
    refused(
        tmp_path,
        wanted(door={"kind": "direct", "pins": PINS | {"relay": pin}}),
        r"\$\.door\.pins\.relay",
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"name": "North 1"}, r"\$\.name"),
        ({"name": "north/1"}, r"\$\.name"),
        ({"name": "north-1\n"}, r"\$\.name"),
        ({"name": "#"}, r"\$\.name"),
        ({"groups": []}, r"\$\.groups"),
        ({"groups": "campus/north"}, r"\$\.groups"),
        ({"groups": ["Campus"]}, r"\$\.groups"),
        ({"groups": ["a"] * 17}, r"\$\.groups"),
        ({"broker": BROKER | {"collector_key": "AAAA"}}, "is not a public key"),
        ({"broker": BROKER | {"time_key": "AAAA"}}, "is not a public key"),
        ({"broker": {k: v for k, v in BROKER.items() if k != "time_key"}}, "`time_key`"),
        ({"clock": {"rtc_ppm": 0}}, ">= 0.1"),
        ({"clock": {"ntp": True}}, "unknown field `ntp`"),
        ({"broker": BROKER | {"port": 0}}, r"\$\.broker\.port"),
        ({"broker": {"host": "a"}}, "missing required field"),
        ({"door": {"kind": "direct", "pins": PINS, "unlock_ms": 10_001}}, r"\$\.door\.unlock_ms"),
        ({"door": {"kind": "direct", "pins": PINS, "unlock_ms": 0}}, r"\$\.door\.unlock_ms"),
        ({"door": {"kind": "direct", "pins": {"relay": 17}}}, "missing required field"),
        ({"camera": {"kind": "pictures"}}, "needs camera.source"),
        ({"camera": {"kind": "webcam"}}, "needs camera.source"),
        ({"camera": {"kind": "eye"}}, r"\$\.camera\.kind"),
        ({"camera": {"frames_per_s": 0}}, r"\$\.camera\.frames_per_s"),
        ({"camera": {"frames_per_s": 61}}, r"\$\.camera\.frames_per_s"),
        ({"camera": {"width": 319}}, r"\$\.camera\.width"),
        ({"camera": {"width": 4097}}, r"\$\.camera\.width"),
        ({"camera": {"height": 239}}, r"\$\.camera\.height"),
        ({"camera": {"height": 3073}}, r"\$\.camera\.height"),
        ({"camera": {"small_width": 63}}, r"\$\.camera\.small_width"),
        ({"camera": {"small_height": 481}}, r"\$\.camera\.small_height"),
        ({"camera": {"width": 320, "small_width": 321}}, "larger than the frame"),
        ({"camera": {"height": 240, "small_height": 241}}, "larger than the frame"),
        ({"camera": {"shutter_us_max": 99}}, r"\$\.camera\.shutter_us_max"),
        ({"camera": {"shutter_us_max": 100_001}}, r"\$\.camera\.shutter_us_max"),
        ({"camera": {"gain_max": 0.9}}, r"\$\.camera\.gain_max"),
        ({"camera": {"gain_max": 65}}, r"\$\.camera\.gain_max"),
        ({"camera": {"focus_m": 0.04}}, r"\$\.camera\.focus_m"),
        ({"camera": {"focus_m": 11}}, r"\$\.camera\.focus_m"),
        ({"counts": {"report_s": 0}}, r"\$\.counts\.report_s"),
        ({"counts": {"report_s": 3601}}, r"\$\.counts\.report_s"),
        ({"broker": BROKER | {"port": 65_536}}, r"\$\.broker\.port"),
        ({"broker": BROKER | {"keepalive_s": 4}}, r"\$\.broker\.keepalive_s"),
        ({"broker": BROKER | {"keepalive_s": 3601}}, r"\$\.broker\.keepalive_s"),
        ({"door": {"kind": "direct", "pins": PINS, "unlock_ms": 99}}, r"\$\.door\.unlock_ms"),
        ({"decoder": "opencv"}, r"\$\.decoder"),
    ],
    ids=str,
)
def test_what_is_out_of_bounds(tmp_path: Path, content: dict[str, Any], why: str) -> None:
    refused(tmp_path, wanted(**content), why)


@pytest.mark.parametrize(
    "content",
    [
        {"camera": {"width": 320, "height": 240, "frames_per_s": 1}},
        {"camera": {"width": 4096, "height": 3072, "frames_per_s": 60}},
        {"camera": {"small_width": 64, "small_height": 48, "shutter_us_max": 100, "gain_max": 1}},
        {"camera": {"small_width": 640, "small_height": 480, "focus_m": 0.05}},
        {"counts": {"report_s": 3600}},
        {"counts": {"report_s": 1}},
        {"broker": BROKER | {"port": 1, "keepalive_s": 5}},
        {"broker": BROKER | {"port": 65_535, "keepalive_s": 3600}},
        {
            "door": {
                "kind": "direct",
                "pins": {"green": 9, "red": 27, "buzzer": 16, "relay": 26, "contact": 2},
                "unlock_ms": 100,
            }
        },
        {"door": {"kind": "direct", "pins": PINS, "unlock_ms": 10_000}},
        {"groups": ["a"] * 16},
    ],
    ids=str,
)
def test_the_bounds_themselves_are_inside(tmp_path: Path, content: dict[str, Any]) -> None:
    unit.read(write(tmp_path, wanted(**content)))


TEXT = msgspec.toml.encode(wanted())


@pytest.mark.parametrize(
    "data",
    [TEXT[:-3], TEXT.replace(b'"', b"", 1), b"name = \xff\xfe", bytes(100), b"= 1", b"[" * 5000],
    ids=["cut", "quote lost", "not UTF-8", "zeros", "no key", "brackets"],
)
def test_a_torn_file_is_told(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data, "is not a unit's configuration")


def test_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "unit.toml", tmp_path):
        with pytest.raises(unit.ConfigError, match=r"cannot be read .* name the unit\.toml"):
            unit.read(path)


@pytest.mark.parametrize(
    "host", ["", "broker..example.org", "a" * 64, ".example", "broker\n", "bro ker", "http://b"]
)
def test_a_host_that_no_network_knows_is_told(tmp_path: Path, host: str) -> None:
    with pytest.raises(unit.ConfigError, match="host"):
        unit.read(write(tmp_path, wanted(broker=BROKER | {"host": host})))


@pytest.mark.parametrize("host", ["broker", "broker.example.org.", "192.0.2.7", "2001:db8::7"])
def test_hosts_and_addresses_are_taken(tmp_path: Path, host: str) -> None:
    assert unit.read(write(tmp_path, wanted(broker=BROKER | {"host": host}))).broker


@pytest.mark.parametrize("change", [{"trust": ""}, {"trust": "a\0b"}, {"state": "a\0b"}])
def test_a_path_that_no_system_takes_is_told(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(unit.ConfigError, match=r"trust|state"):
        unit.read(write(tmp_path, wanted(**change)))
