"""MQTT topics and payloads, one definition for both ends.

    menshen/1/<site>/<unit>/state    retained; birth and last will, tied by `session`
    menshen/1/<site>/<unit>/health   every minute, and when an alarm begins or ends
    menshen/1/<site>/<unit>/counts   every `report_s`: the oldest unacknowledged cells, or none
    menshen/1/<site>/<unit>/ack      down: the collector's signed watermark
    menshen/1/<site>/<unit>/ask      a nonce: what time is it? (edge/wire/time.md)
    menshen/1/<site>/<unit>/answer   down: the time, signed over that nonce

Payloads are JSON. `counts`, `health` and `ask` have one size each, filled up with blanks behind
the JSON text (which RFC 8259 allows), so their length says nothing.
"""

import hashlib
from typing import Annotated, Literal, NamedTuple, TypeVar, get_args

import msgspec

from edge.wire import envelope, keys
from edge.wire.decode import MESSAGE_LEN_MAX, DecodeError, decode_json
from edge.wire.trust import Name, Seconds

ROOT = "menshen/1"
COUNTS_LEN = 2048  # bytes of every counts message
HEALTH_LEN = 512  # bytes of every health message
ASK_LEN = 128  # bytes of every question for the time
CELLS_MAX = 8  # cells in one counts message
ACK_KIND = "application/vnd.menshen.ack.1+json"
ANSWER_KIND = "application/vnd.menshen.time.1+json"

Leaf = Literal["state", "health", "counts", "ack", "ask", "answer"]
DownLeaf = Literal["ack", "answer"]
"""What a unit is sent; the others it sends."""

Source = Literal["sync", "system", "rtc", "floor", "build"]
"""Where a unit's time comes from. With `floor` and `build` it only knows what is certainly past."""

Rtc = Literal["ok", "unrelated", "broken", "none"]
"""A unit's battery clock. `unrelated`: no sync has told yet how what it shows relates to true time.
"""

Camera = Literal["ok", "lost", "dark", "covered", "dirty", "unfocused"]
"""A unit's camera. `lost`: it gives no frames; the rest: it does, and no code could be read in them
for minutes. `dark`: no light; `covered`: nothing but one surface; `dirty`: a veil over everything;
`unfocused`: no sharp edge anywhere.
"""

Alarm = Literal["fire", "tamper", "latched", "forced", "held", "help"]
"""What a door cries out, the stated exceptions to telling nothing of a passage. `forced`: it opened
and nobody had released it; `held`: it stands open too long; `latched`: its controller holds itself
shut until re-armed from inside. What a unit does before it tells one: README.md, section 12.
"""

ALARMS: tuple[Alarm, ...] = get_args(Alarm)

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
"""What a decision is counted as. Closed: a collector refuses any other."""

CATEGORIES: tuple[Category, ...] = get_args(Category)

_M = TypeVar("_M", bound=msgspec.Struct)

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


class State(_Message, frozen=True, kw_only=True):
    """Birth (`online` true) and will (false) of one session of a unit's program."""

    online: bool
    session: Number
    installation: Installation


class Cell(_Message, frozen=True, kw_only=True):
    """`count` decisions of one `category` in [from_s, until_s): at least k, or it were not here."""

    number: Number
    category: Category
    from_s: Seconds
    until_s: Seconds
    count: Number


class Counts(_Message, frozen=True, kw_only=True):
    """The oldest cells not yet acknowledged, rising by number without a gap."""

    installation: Installation
    cells: Annotated[list[Cell], msgspec.Meta(max_length=CELLS_MAX)]


class Health(_Message, frozen=True, kw_only=True):
    """How the unit is. Nothing here moves with one person's passage but `alarms`, which says so."""

    session: Number
    version: Annotated[str, msgspec.Meta(max_length=32)]
    uptime_h: Bounded
    trust_version: Bounded
    trust_age_d: Bounded
    trust: Literal["fresh", "stale", "old", "expired"]  # by the site's own steps
    clock: Source
    rtc: Rtc = "none"
    camera: Camera
    door: Literal["ok", "lost"]
    alarms: Annotated[list[Alarm], msgspec.Meta(max_length=8)] = []
    store: Literal["ok", "full"]
    verifier: Literal["ok", "wrong"]
    queue: Literal["ok", "late", "full"]


class Ack(_Message, frozen=True, kw_only=True):
    """The collector has stored cells `first` to `last`; `digest` is the last one's."""

    site: Name
    unit: Name
    installation: Installation
    first: Number
    last: Number
    digest: str


class Ask(_Message, frozen=True, kw_only=True):
    """What time is it? The nonce is new each time and ties the answer to this question."""

    session: Number
    nonce: Nonce


class Answer(_Message, frozen=True, kw_only=True):
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


def digest(cell: Cell) -> str:
    """SHA-256 (hex) over the cell's JSON in its declared order."""
    return hashlib.sha256(msgspec.json.encode(cell)).hexdigest()


def encode(message: State | Counts | Health | Ask) -> bytes:
    """JSON, filled up to the message's one size. Raises ReportError if it does not fit."""
    data = msgspec.json.encode(message)
    size = {Counts: COUNTS_LEN, Health: HEALTH_LEN, Ask: ASK_LEN}.get(type(message), len(data))
    if len(data) > size:
        raise ReportError(f"a {type(message).__name__} message of {len(data)} bytes is too long")
    return data.ljust(size)


def decode_state(data: bytes) -> State:
    """Raises ReportError."""
    return _decode(data, State)


def decode_counts(data: bytes) -> Counts:
    """Raises ReportError, also for cells whose numbers or times do not rise."""
    counts = _decode(data, Counts)
    for before, after in zip(counts.cells, counts.cells[1:], strict=False):
        if after.number != before.number + 1:
            raise ReportError("a counts message has a gap in its cells' numbers")
    if any(cell.until_s < cell.from_s for cell in counts.cells):
        raise ReportError("a counts message has a cell that ends before it begins")
    return counts


def decode_health(data: bytes) -> Health:
    """Raises ReportError."""
    return _decode(data, Health)


def sign_ack(ack: Ack, collector: keys.PrivateKey) -> bytes:
    """The collector's acknowledgement, signed: who can write to the broker cannot forge it."""
    return envelope.sign(msgspec.json.encode(ack), ACK_KIND, collector)


def verify_ack(data: bytes, collector: bytes) -> Ack:
    """Raises ReportError when it is torn or not signed by `collector` (32 bytes)."""
    try:
        ack = _decode(envelope.verify(data, ACK_KIND, collector), Ack)
    except envelope.EnvelopeError as error:
        raise ReportError(f"an acknowledgement is not believed: {error}") from None
    if ack.first > ack.last:
        raise ReportError("an acknowledgement ends before it begins")
    return ack


def decode_ask(data: bytes) -> Ask:
    """Raises ReportError."""
    return _decode(data, Ask)


def sign_answer(answer: Answer, time_key: keys.PrivateKey) -> bytes:
    """The time, signed by a key that signs nothing else."""
    return envelope.sign(msgspec.json.encode(answer), ANSWER_KIND, time_key)


def verify_answer(data: bytes, time_key: bytes) -> Answer:
    """Raises ReportError when it is torn or not signed by `time_key` (32 bytes)."""
    try:
        return _decode(envelope.verify(data, ANSWER_KIND, time_key), Answer)
    except envelope.EnvelopeError as error:
        raise ReportError(f"a time is not believed: {error}") from None


def _decode(data: bytes, kind: type[_M]) -> _M:
    try:
        return decode_json(data, kind, MESSAGE_LEN_MAX)
    except DecodeError as error:
        raise ReportError(f"a {kind.__name__} message is not of its schema: {error}") from None
