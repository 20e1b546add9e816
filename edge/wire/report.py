"""MQTT topics and payloads, one definition for both ends.

    menshen/1/<site>/<unit>/state    retained; birth and last will, tied by `session`
    menshen/1/<site>/<unit>/health   every minute, and when an alarm or a loss begins or ends
    menshen/1/<site>/<unit>/counts   every `report_s`: the oldest unacknowledged cells, or none
    menshen/1/<site>/<unit>/ack      down: the collector's signed watermark
    menshen/1/<site>/<unit>/ask      a nonce: what time is it? (edge/wire/time.md)
    menshen/1/<site>/<unit>/answer   down: the time, signed over that nonce

Payloads are JSON. `counts`, `health` and `ask` have one size each, filled up with blanks behind
the JSON text (which RFC 8259 allows), so their length reveals nothing.

What a unit writes can grow: a reader keeps the words and fields of a later version as unknown.
What the collector signs is closed. Source: README.md, section 13.
"""

import hashlib
import re
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    TypeAlias,
    TypeVar,
    get_args,
)

import msgspec

from edge.wire import envelope, keys
from edge.wire.decode import MESSAGE_LEN_MAX, DecodeError, decode_json
from edge.wire.trust import Name, Seconds

ROOT = "menshen/1"
COUNTS_LEN = 2048  # bytes of every counts message
HEALTH_LEN = 512  # bytes of every health message
ASK_LEN = 128  # bytes of every question for the time
CELLS_MAX = 8  # cells in one counts message
ALARMS_MAX = 16  # in one health message
UNKNOWN_MAX = 16  # fields of a later version in one message or cell, and items in a list of one
ACK_KIND = "application/vnd.menshen.ack.1+json"
ANSWER_KIND = "application/vnd.menshen.time.1+json"

Leaf = Literal["state", "health", "counts", "ack", "ask", "answer"]
DownLeaf = Literal["ack", "answer"]
"""What a unit is sent; the others it sends."""

ClockSource = Literal["sync", "system", "rtc", "floor", "build"]
"""Where a unit's time comes from. With `floor` and `build` it only knows what is certainly past."""

RtcState = Literal["ok", "unrelated", "broken", "none"]
"""A unit's battery clock. `unrelated`: no sync has yet related it to true time.
"""

CameraState = Literal["ok", "lost", "dark", "covered", "dirty", "unfocused"]
"""A unit's camera. `lost`: it gives no frames; the rest: it does, and no code could be read in them
for minutes. `dark`: no light; `covered`: nothing but one surface; `dirty`: a veil over everything;
`unfocused`: no sharp edge anywhere.
"""

Alarm = Literal["fire", "tamper", "latched", "forced", "held", "help"]
"""What a door cries out, the stated exceptions to telling nothing of a passage. `forced`: it opened
and nobody had released it; `held`: it stands open too long; `latched`: its controller holds itself
shut until re-armed from inside. When a unit reports one: README.md, section 12.
"""

ALARMS: tuple[Alarm, ...] = get_args(Alarm)

TrustAge = Literal["fresh", "stale", "old", "expired"]
"""The age of a unit's trust documents, by the site's own steps."""

Link = Literal["ok", "lost"]
"""A unit's door."""

Disk = Literal["ok", "full"]
"""A unit's store."""

SelfTest = Literal["ok", "wrong"]
"""A unit's verifier."""

Queue = Literal["ok", "late", "full"]
"""The cells that wait in a unit."""

Category = Literal[
    "green",
    "yellow",
    "red",
    "expired",
    "not-yet",
    "not-here",
    "not-now",
    "revoked",
    "used",
    "proof-old",
    "phone-clock",
    "not-recognised",
    "not-genuine",
    "full",
    "unsure-issuer",
    "unsure-time",
    "unsure-status",
    "unsure-trust",
    "unsure-start",
]
"""What a decision is counted as."""

CATEGORIES: tuple[Category, ...] = get_args(Category)

KNOWN_WORDS: dict[str, tuple[str, ...]] = {
    "trust": get_args(TrustAge),
    "clock": get_args(ClockSource),
    "rtc": get_args(RtcState),
    "camera": get_args(CameraState),
    "door": get_args(Link),
    "alarms": ALARMS,
    "store": get_args(Disk),
    "verifier": get_args(SelfTest),
    "queue": get_args(Queue),
    "category": CATEGORIES,
}
"""What this version knows, for each field whose words can grow."""

Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,15}(?!\n)$")]
"""A word of any version."""

Unknown = NewType("Unknown", str)
"""A word of a later version, as it came."""

if TYPE_CHECKING:
    _Known = TypeVar("_Known", bound=str)
    Open: TypeAlias = _Known | Unknown
else:

    class Open:
        """`Open[Camera]`: for mypy a word that is known here or an unknown one; any word may come.

        msgspec cannot decode such a union, so it gets the bounds of both.
        """

        def __class_getitem__(cls, _words: object) -> object:
            return Word


Text = Annotated[str, msgspec.Meta(max_length=64)]
"""Also printable ASCII that JSON writes in one way only: no quotation mark, no backslash.

`_check_texts` checks that, and no pattern here: msgspec 0.22.0 frees the wrong memory for a type
that may be a text with a pattern or a list, and the program then crashes as it ends.
"""

_TEXT = re.compile(r"[ !#-\[\]-~]*")

Integer = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Scalar = Text | Integer | bool | None
Value = Scalar | Annotated[list[Scalar], msgspec.Meta(max_length=UNKNOWN_MAX)]
"""What a field of a later version may hold."""

FieldName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$")]
Fields = Annotated[dict[FieldName, Value], msgspec.Meta(max_length=UNKNOWN_MAX)]

_T = TypeVar("_T")
_R = TypeVar("_R", bound="_Report")

Number = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Bounded = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Installation = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]
"""Made with a unit's store and never again: numbers restart only under a new one."""


Nonce = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}(?!\n)$")]
"""16 random bytes in hex."""


class ReportError(ValueError):
    """A message that is not of its schema; one sentence for people."""


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A payload."""


class _Report(_Message, frozen=True, kw_only=True):
    """What a unit writes. `unknown`: the fields of a later version, in their order."""

    unknown: Fields = {}


class StateReport(_Report, frozen=True, kw_only=True):
    """Birth (`online` true) and will (false) of one connection of a unit.

    `session` numbers the unit's program, `connection` its connections to the broker in that
    session. Both rise, so a will that arrives after the birth of a newer connection is ignored.
    """

    online: bool
    session: Number
    connection: Bounded = 0  # 0: a unit from before this field
    installation: Installation


class Cell(_Report, frozen=True, kw_only=True):
    """`count` decisions of one `category` in [from_s, until_s): at least k, or it were not here."""

    number: Number
    category: Open[Category]
    from_s: Seconds
    until_s: Seconds
    count: Number


class CountsReport(_Report, frozen=True, kw_only=True):
    """The oldest cells not yet acknowledged, rising by number without a gap."""

    installation: Installation
    cells: Annotated[list[Cell], msgspec.Meta(max_length=CELLS_MAX)]


class HealthReport(_Report, frozen=True, kw_only=True):
    """The unit's health. Only `alarms` may change with one person's passage (see `Alarm`)."""

    session: Number
    version: Annotated[str, msgspec.Meta(max_length=32)]
    uptime_h: Bounded
    trust_version: Bounded
    trust_age_d: Bounded
    trust: Open[TrustAge]
    clock: Open[ClockSource]
    rtc: Open[RtcState] = "none"
    camera: Open[CameraState]
    door: Open[Link]
    alarms: Annotated[list[Open[Alarm]], msgspec.Meta(max_length=ALARMS_MAX)] = []
    store: Open[Disk]
    verifier: Open[SelfTest]
    queue: Open[Queue]


class Ack(_Message, frozen=True, kw_only=True):
    """The collector has stored cells `first` to `last`; `digest` is the last one's."""

    site: Name
    unit: Name
    installation: Installation
    first: Number
    last: Number
    digest: str


class TimeRequest(_Report, frozen=True, kw_only=True):
    """What time is it? The nonce is new each time and ties the answer to this question."""

    session: Number
    nonce: Nonce


class TimeAnswer(_Message, frozen=True, kw_only=True):
    """It was `time_ms` (Unix, UTC) ± `error_ms` while the question was here."""

    site: Name
    unit: Name
    nonce: Nonce
    time_ms: Annotated[int, msgspec.Meta(ge=0, le=1000 * 2**32)]
    error_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]


class Address(NamedTuple):
    """Where a message came from, read off its topic."""

    site: Name
    unit: Name
    leaf: Leaf


def topic(site: str, unit: str, leaf: Leaf) -> str:
    """`menshen/1/campus/north-1/counts`."""
    return f"{ROOT}/{site}/{unit}/{leaf}"


def address(topic: str) -> Address | None:
    """The parts of a topic; None when it is not one of ours."""
    parts = topic.split("/")
    if "/".join(parts[:2]) != ROOT:
        return None
    try:
        return msgspec.convert(parts[2:], Address)
    except msgspec.ValidationError:  # not three, not names, or a leaf of another version
        return None


def content(
    message: StateReport | Cell | CountsReport | HealthReport | TimeRequest,
) -> dict[str, Any]:
    """The fields of `message` as it has them in JSON, those of a later version last."""
    fields = msgspec.structs.asdict(message)
    del fields["unknown"]
    if isinstance(message, CountsReport):
        fields["cells"] = [content(cell) for cell in message.cells]
    return fields | message.unknown


def digest(cell: Cell) -> str:
    """SHA-256 (hex) over the cell's JSON in its declared order, unknown fields behind it."""
    return hashlib.sha256(msgspec.json.encode(content(cell))).hexdigest()


def encode(message: StateReport | CountsReport | HealthReport | TimeRequest) -> bytes:
    """JSON, filled up to the message's one size. Raises ReportError if it does not fit."""
    data = msgspec.json.encode(content(message))
    size = {CountsReport: COUNTS_LEN, HealthReport: HEALTH_LEN, TimeRequest: ASK_LEN}.get(
        type(message), len(data)
    )
    if len(data) > size:
        raise ReportError(f"a {type(message).__name__} message of {len(data)} bytes is too long")
    return data.ljust(size)


def decode_state(data: bytes) -> StateReport:
    """Raises ReportError."""
    return _read(data, StateReport)


def decode_counts(data: bytes) -> CountsReport:
    """Raises ReportError, also for cells whose numbers or times do not rise."""
    counts = _read(data, CountsReport)
    for before, after in zip(counts.cells, counts.cells[1:], strict=False):
        if after.number != before.number + 1:
            raise ReportError("a counts message has a gap in its cells' numbers")
    if any(cell.until_s < cell.from_s for cell in counts.cells):
        raise ReportError("a counts message has a cell that ends before it begins")
    return counts


def decode_health(data: bytes) -> HealthReport:
    """Raises ReportError."""
    return _read(data, HealthReport)


def sign_ack(ack: Ack, collector: keys.PrivateKey) -> bytes:
    """The collector's acknowledgement, signed: who can write to the broker cannot forge it."""
    return envelope.sign(msgspec.json.encode(ack), ACK_KIND, collector)


def verify_ack(data: bytes, collector: bytes) -> Ack:
    """Raises ReportError when it is torn or not signed by `collector` (32 bytes)."""
    try:
        ack = _decode(envelope.verify(data, ACK_KIND, collector), Ack)
    except envelope.EnvelopeError as error:
        raise ReportError(f"an acknowledgement is not accepted: {error}") from None
    if ack.first > ack.last:
        raise ReportError("an acknowledgement ends before it begins")
    return ack


def decode_time_request(data: bytes) -> TimeRequest:
    """Raises ReportError."""
    return _read(data, TimeRequest)


def sign_time_answer(answer: TimeAnswer, time_key: keys.PrivateKey) -> bytes:
    """The time, signed by a key that signs nothing else."""
    return envelope.sign(msgspec.json.encode(answer), ANSWER_KIND, time_key)


def verify_time_answer(data: bytes, time_key: bytes) -> TimeAnswer:
    """Raises ReportError when it is torn or not signed by `time_key` (32 bytes)."""
    try:
        return _decode(envelope.verify(data, ANSWER_KIND, time_key), TimeAnswer)
    except envelope.EnvelopeError as error:
        raise ReportError(f"a time is not accepted: {error}") from None


def _read(data: bytes, kind: type[_R]) -> _R:
    """A message of this version or a later one."""
    fields = _decode(data, dict[str, Any], kind.__name__)
    try:
        message = msgspec.convert(_fold(fields, kind), kind)
        for part in (message, *(message.cells if isinstance(message, CountsReport) else ())):
            _check_texts(part.unknown)
    except msgspec.ValidationError as error:
        raise ReportError(f"a {kind.__name__} message is not of its schema: {error}") from None
    return message


def _check_texts(fields: Fields) -> None:
    for name, value in fields.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _TEXT.fullmatch(text):
                raise msgspec.ValidationError(f"`{name}` holds more than plain printable ASCII")


def _fold(fields: Any, kind: type[_Report]) -> Any:
    """`fields` with those that `kind` does not have moved into its `unknown`.

    What has the wrong type is left as it is, to be refused by name.
    """
    if not isinstance(fields, dict):
        return fields
    names = _field_names(kind)
    if fields.keys() <= names:
        folded = fields
    else:
        folded = {name: value for name, value in fields.items() if name in names}
        folded["unknown"] = {name: value for name, value in fields.items() if name not in names}
    cells = folded.get("cells")
    if isinstance(cells, list) and len(cells) <= CELLS_MAX:
        folded["cells"] = [_fold(cell, Cell) for cell in cells]
    return folded


@cache
def _field_names(kind: type[_Report]) -> frozenset[str]:
    """What this version has in JSON."""
    return frozenset(kind.__struct_fields__) - {"unknown"}


def _decode(data: bytes, kind: type[_T], name: str = "") -> _T:
    try:
        return decode_json(data, kind, MESSAGE_LEN_MAX)
    except DecodeError as error:
        name = name or kind.__name__
        raise ReportError(f"a {name} message is not of its schema: {error}") from None
