"""edge/wire/README.md is the law: its examples are made again here, and its tables compared."""

import contextlib
import io
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
import segno

from edge.judge.verdict import Reason
from edge.wire import code, decode, envelope, holder, keys, report, repository, trust, unit
from edge.wire.door_inputs import INPUTS
from tests import ROOT

README = (ROOT / "edge" / "wire" / "README.md").read_text(encoding="utf-8")


def section(number: int) -> str:
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", README, re.M | re.S)
    assert found, f"no section {number}"
    return found[0]


def block(number: int, info: str) -> str:
    found = re.findall(rf"^```{re.escape(info)}\n(.*?)\n```$", section(number), re.M | re.S)
    assert len(found) == 1, f"{len(found)} blocks {info!r} in section {number}"
    return str(found[0])


def published(number: int) -> bytes:
    """The 32 bytes of a section's seed."""
    found = re.search(r"seed\s+`h'([0-9a-f]{64})'`", section(number))
    assert found
    return bytes.fromhex(found[1])


ISSUER = keys.private_key(published(7))


def test_the_bounds_of_what_is_read() -> None:
    assert f"at most {decode.DOCUMENT_LEN_MAX >> 20} MiB and {decode.DEPTH_MAX} levels" in section(
        10
    )
    assert f"at most {decode.TOML_LEN_MAX >> 10} KiB" in section(11)
    messages = " ".join(section(12).split())
    assert f"at most {decode.MESSAGE_LEN_MAX >> 10} KiB" in messages
    assert f"at most {decode.DEPTH_MAX} levels" in messages
    assert f"an envelope has at most {envelope.ENVELOPE_LEN_MAX >> 20} MiB" in messages


def test_the_worked_example() -> None:
    example = code.Code(
        colour=code.Colour.GREEN, sub="AAECAwQFBgc", iat_s=1800000000, exp_s=1800000300
    )
    text = code.encode(example, ISSUER)
    written = [line.partition("#")[0] for line in block(7, "bytes").splitlines()]
    raw = bytes.fromhex("".join(written))
    assert block(7, "text") == text
    assert code.base45_decode(text[4:].encode()) == raw
    assert f"All {len(raw)} bytes" in section(7)
    assert f"public key is `h'{ISSUER.public.hex()}'`" in section(7)
    assert f"begins `{ISSUER.kid.hex()}`" in section(7)


def test_the_worked_example_says_what_is_signed() -> None:
    signed = code.decode(block(7, "text").encode())
    assert isinstance(signed, code.SignedCode)
    raw = code.base45_decode(block(7, "text")[4:].encode())
    assert raw is not None
    begin = re.search(r"begins with `([0-9a-f ]+)`", section(7))
    assert begin
    payload_at = raw.index(b"\x58\x20")
    message = bytes.fromhex(begin[1]) + raw[1:13] + b"\x40" + raw[payload_at:-66]
    assert signed.message == message
    assert keys.verify(ISSUER.public, message, raw[-64:])


@pytest.mark.parametrize("number", [8, 9])
def test_the_sizes_are_measured(number: int) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block(number, "python"), {})  # noqa: S102 -- our own page
    assert printed.getvalue().rstrip("\n") == block(number, "output")


def test_a_holder_signs_what_the_page_says() -> None:
    phone, door = keys.private_key(bytes(range(64, 96))), "campus/north-1"
    said = code.Code(
        colour=code.Colour.GREEN, sub="AAECAwQFBgc", iat_s=1, exp_s=2, cnf=phone.public
    )
    raw = code.unwrap(holder.encode(code.encode(said, ISSUER), 3, door, phone).encode())
    assert isinstance(raw, bytes)
    inner = code.unwrap(code.encode(said, ISSUER).encode())
    assert isinstance(inner, bytes)
    protected = bytes.fromhex("a201320d") + inner
    assert len(protected) == 153
    payload = b"\xa2\x03\x6ecampus/north-1\x06\x03"
    body = bytes((0x40 | len(payload),)) + payload
    assert raw[:-64] == b"\x84\x58\x99" + protected + b"\xa0" + body + b"\x58\x40"
    message = b"\x84\x6aSignature1\x58\x99" + protected + b"\x50menshen-holder-1" + body
    assert keys.verify(phone.public, message, raw[-64:])


def test_the_cost_of_the_drafts_status_map() -> None:
    listed = code.StatusEntry(123456, "city/2027")
    plain = code.Code(
        colour=code.Colour.GREEN,
        sub="AAECAwQFBgc",
        iat_s=1800000000,
        exp_s=1800000300,
        status=listed,
    )
    raw = code.base45_decode(code.encode(plain, ISSUER)[4:].encode())
    assert raw is not None
    draft = b"\xa1\x6bstatus_list\xa2\x63idx" + b"\x1a\x00\x01\xe2\x40" + b"\x63uri\x69city/2027"
    compact = b"\x82\x1a\x00\x01\xe2\x40\x69city/2027"
    assert compact in raw
    with_map = raw.replace(compact, draft)
    text = "DC1:" + code.base45_encode(with_map).decode()
    version = segno.make(text, error="m", mode="alphanumeric", boost_error=False).version
    assert f"cost {len(draft) - len(compact)} bytes" in section(4).replace("\n", " ")
    said = f"{len(with_map)} bytes, {len(text)} characters and version {version}"
    assert said in section(8).replace("\n", " ")


def test_the_table_of_claims_names_every_label() -> None:
    labels = {int(n) for n in re.findall(r"^\| [`a-z]+ \| (-?\d+) \|", section(4), re.M)}
    assert labels == {
        code.SUB,
        code.AUD,
        code.EXP,
        code.NBF,
        code.IAT,
        code.CNF,
        code.SCOPE,
        code.STATUS,
        code.COLOUR,
        code.PARTY,
        code.TURNS,
    }


def test_the_table_of_verdicts_names_every_reason() -> None:
    told = set(re.findall(r"`(?:refused|unsure):([a-z-]+)`", section(6)))
    assert told == {reason.name.lower().replace("_", "-") for reason in Reason}


def test_the_bounds_are_the_programs() -> None:
    assert f"at most {code.CODE_LEN_MAX} bytes" in section(2)
    assert f"at most {code.TEXT_LEN_MAX} characters" in section(2)
    assert f"most {trust.ISSUERS_MAX:,} issuers" in section(10).replace("\n", " ")
    assert f"at most {repository.FILE_LEN_MAX >> 20} MiB" in section(10)
    assert f"at most {envelope.ENVELOPE_LEN_MAX >> 20} MiB" in section(12)
    assert f"| {report.HEALTH_LEN} bytes |" in section(12)
    assert f"| {report.COUNTS_LEN} bytes |" in section(12)
    assert f"At most {report.CELLS_MAX} go" in section(12)
    assert f"`{report.ACK_KIND}`" in section(12)
    assert ", ".join(f"`{c}`" for c in report.CATEGORIES) in section(12).replace("\n  ", " ")


def test_the_page_lists_every_alarm_in_the_order_in_which_they_are_told() -> None:
    told = re.search(r"\n- `alarms` says .*?Absent means none", section(12), re.DOTALL)
    assert told
    assert re.findall(r"`([a-z-]+)` \(", told[0]) == list(report.ALARMS)


@pytest.mark.parametrize(
    ("info", "start", "end"),
    [("toml", "# illuminator, ", ": where wired"), ("toml controlled", "are wired: ", "# illumin")],
)
def test_both_forms_of_a_door_list_every_input(info: str, start: str, end: str) -> None:
    listed = block(11, info).partition(start)[2].partition(end)[0]
    assert set(re.findall(r"\w+", listed)) == set(INPUTS)


def test_the_issuers_document() -> None:
    document = trust.document(block(10, "json document").encode())
    assert trust.Trust(document).keys(ISSUER.kid)[0].public == ISSUER.public


def test_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(block(11, "toml"), encoding="utf-8")
    read = unit.read(path)
    assert read.name == "north-1"
    assert read.trust == str(tmp_path / "trust")
    assert read.trust_stick == "/media/menshen"


def test_the_configuration_shows_the_defaults() -> None:
    shown = tomllib.loads(block(11, "toml"))
    full = msgspec.convert(shown, unit.UnitConfig)
    for table in ("camera", "counts", "clock", "state", "decoder", "trust"):
        del shown[table]
    for key in ("unlock_ms", "held_s"):
        del shown["door"][key]
    for key in ("port", "keepalive_s"):
        del shown["broker"][key]
    without = msgspec.convert(shown, unit.UnitConfig)
    assert without == msgspec.structs.replace(full, state=without.state)


def test_a_door_with_a_controller() -> None:
    shown = tomllib.loads(block(11, "toml controlled"))["door"]
    assert msgspec.convert(shown, unit.DoorConfig) == unit.ControllerDoor(port=shown["port"])


def test_the_messages() -> None:
    state, health = block(12, "json state").encode(), block(12, "json health").encode()
    counts = block(12, "json counts").encode()
    assert report.encode(report.decode_state(state)) == state
    assert report.encode(report.decode_health(health)).rstrip() == health
    assert report.encode(report.decode_counts(counts)).rstrip() == counts


def test_a_message_of_the_next_version() -> None:
    data = block(13, "json health next").encode()
    health = report.decode_health(data)
    assert (health.camera, health.alarms) == ("smeared", ["fire", "call"])
    assert health.unknown == {"lamp": "dim"}
    assert report.encode(health).rstrip() == data


def test_the_bounds_of_growth() -> None:
    page = section(13)
    assert f"at most {report.ALARMS_MAX} words" in page
    bound = report.UNKNOWN_MAX
    assert f"at most {bound} in a message, and {bound} in each cell" in page
    assert f"a list of at most {bound} of these" in page


def test_the_acknowledgement() -> None:
    payload = block(12, "json ack").encode()
    collector = keys.private_key()
    signed = envelope.sign(payload, report.ACK_KIND, collector)
    ack = report.verify_ack(signed, collector.public)
    last = report.decode_counts(block(12, "json counts").encode()).cells[-1]
    assert ack.digest == report.digest(last)
    assert ack.last == last.number
    assert report.sign_ack(ack, collector) == signed
