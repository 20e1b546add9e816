"""The simulated street: one seed picks who comes by and what goes wrong, and drives the real loop.

Real: loop, stages, verdicts over real signatures, the store on a disk, the messages. Simulated:
time, eyes, the door's hardware, the broker and the collector behind it. What must always hold is
checked at every tick; a failure names its seed.
"""

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edge import BUILT_S
from edge.adapters.storage.counts import DiskCountStore
from edge.adapters.storage.ram import ProcessMemory
from edge.adapters.system_clock import SAVE_EVERY_S
from edge.clock.time_interval import (
    Now,
    Reckoning,
    Relation,
    RtcReading,
    StoredClock,
    Sync,
    TimeSpan,
    interval,
)
from edge.doorway.door_alarms import ALARM_HOLD_S, GRACE_S, SHUT_S
from edge.doorway.door_signals import DoorAction, Signal
from edge.doorway.input_levels import InputLevels
from edge.judge import selftest
from edge.judge.ports import TrustSource
from edge.judge.site_decision import Decision
from edge.judge.verdict import Place, TrustState, Verdict
from edge.loop import Loop, Ports, UnitSettings
from edge.parts import CameraLost, DoorLost
from edge.passing.lane import Lane, Sensors
from edge.sight.frame import Sighting, Symbol
from edge.wire import holder, keys, report, status, trust
from edge.wire.code import Code, Colour, StatusEntry, encode
from edge.wire.door_inputs import INPUTS
from edge.wire.rules import PLAIN, DoorRules
from tests.levels import but

SITE, UNIT = "campus", "north-1"
GROUPS = frozenset({"campus", "campus/north-1"})
START_S = (BUILT_S // 86400 + 30) * 86400 + 7 * 3600  # 7:00, at whatever hour it was built
TICK_S = 0.25
TURN_S = 1.5  # from the pulse on
READ_RATE = 0.6  # of the frames that show a code, as at a real door
UNLOCK_MS = 3000
HELD_S = 30.0
K = 10
RTC_PPM = 5.0
FRAME = (1280, 720)
HELD = ((500, 220), (780, 220), (780, 500), (500, 500))  # where a code is held

KINDS = {  # what comes by, how often, and what the door must say
    "green": (60, "green"),
    "yellow": (6, "yellow"),
    "red": (8, "red"),
    "expired": (10, "expired"),
    "forged": (6, "not-genuine"),
    "altered": (4, "not-genuine"),
    "cut": (4, "not-genuine"),
    "elsewhere": (5, "not-here"),
    "stranger": (4, "unsure-issuer"),
    "poster": (8, None),
    "listed": (6, "green"),  # could have been taken back, and was not
    "revoked": (4, "revoked"),
    "holder": (20, "green"),
    "picture": (4, "proof-old"),  # of a holder code, some minutes old
    "fast-phone": (3, "phone-clock"),
    "next-door": (3, "not-here"),  # a holder code made for another door
}
OPENING = {"green", "listed", "holder"}
LIST = "city/1"
REVOKED = range(1000, 1500)  # the entries of those who were taken back


@dataclass(frozen=True)
class StreetVisit:
    """One person in front of the door."""

    kind: str
    text: bytes
    from_s: float
    until_s: float
    who: int = -1  # of the street's people; -1: a test's own
    again: bool = False  # was let in just before


@dataclass
class Troubles:
    """How often the world fails, per simulated hour."""

    power_cuts: float = 0.0
    restarts: float = 0.0  # of the program
    broker_outages: float = 0.0
    lost_acks: float = 0.1  # the share of acknowledgements that never arrive
    repeats: float = 0.1  # the share of messages that arrive twice
    camera_losses: float = 0.0
    door_losses: float = 0.0
    clock_steps: float = 0.0  # of the RTC: an empty battery, a hand
    forced: float = 0.0  # a crowbar
    propped: float = 0.0  # a wedge under the leaf, by somebody who went in or out


class People:
    """Identities: keys, day handles, scopes. Two streets may differ in nothing else."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"people {seed}")
        self.rng = rng
        self.city = keys.private_key(rng.randbytes(32))
        self.stranger = keys.private_key(rng.randbytes(32))
        self.handles = [
            base64.urlsafe_b64encode(rng.randbytes(8))[:11].decode() for _ in range(500)
        ]
        self.phones = [keys.private_key(rng.randbytes(32)) for _ in range(500)]
        self.scopes = [f"staff:{''.join(rng.choices('abcdefghij', k=6))}" for _ in range(500)]

    def text(self, kind: str, who: int, now_s: int) -> bytes:
        """What `who` shows, being of `kind`."""
        if kind == "poster":
            return b"HTTPS://EXAMPLE.ORG/%d" % who
        if kind in ("holder", "picture", "fast-phone", "next-door"):
            return self._held(kind, who, now_s).encode()
        bit = {"listed": who, "revoked": REVOKED.start + who}.get(kind)
        colour = {"yellow": Colour.YELLOW, "red": Colour.RED}.get(kind, Colour.GREEN)
        iat_s = now_s - (7200 if kind == "expired" else 30)
        code = Code(
            colour=colour,
            sub=self.handles[who],
            iat_s=iat_s,
            exp_s=iat_s + 3600,
            aud=("harbour",) if kind == "elsewhere" else (),
            scope=self.scopes[who],
            status=None if bit is None else StatusEntry(bit, LIST),
        )
        signer = self.stranger if kind == "stranger" else self.city
        if kind == "forged":
            signer = Pretender(self.stranger, self.city.kid)
        text = encode(code, signer).encode()
        if kind == "cut":
            return text[:-12]
        if kind == "altered":  # yesterday's signature under today's claims
            other = encode(Code(colour=colour, sub=code.sub, iat_s=iat_s - 9, exp_s=iat_s), signer)
            return text[:-96] + other.encode()[-96:]
        return text

    def _held(self, kind: str, who: int, now_s: int) -> str:
        phone = self.phones[who]
        said = Code(
            colour=Colour.GREEN,
            sub=self.handles[who],
            iat_s=now_s - 1800,
            exp_s=now_s + 7200,
            cnf=phone.public,
        )
        off_s = {"picture": -600, "fast-phone": 600}.get(kind, who % 90 - 60)
        door = f"{SITE}/north-2" if kind == "next-door" else f"{SITE}/{UNIT}" if who % 2 else None
        return holder.encode(encode(said, self.city), now_s + off_s, door, phone)


@dataclass
class Pretender:
    """A forger: names an issuer's key and signs with another."""

    key: keys.PrivateKey
    kid: bytes

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


class Street:
    """Time, eyes, door, broker and collector; `run` lets `seconds` pass."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        people: int | None = None,
        per_hour: float = 120,
        troubles: Troubles | None = None,
        kinds: dict[str, tuple[int, str | None]] | None = None,
        wired: bool = True,
        rtc: bool = True,
        turnstile: bool = False,
        exits: float | None = None,
    ) -> None:
        """`exits`: how many an hour leave by the exit button; None: the doorway is not wired."""
        self.seed = seed
        self.rng = random.Random(f"street {seed}")
        self.people = People(seed if people is None else people)
        self.folder = folder
        self.per_hour = per_hour
        self.troubles = troubles or Troubles()
        self.kinds = kinds or KINDS
        self.wired = wired  # whether this unit has a broker at all
        self.has_rtc = rtc
        self.rtc_ahead_s = -1_234_567_890.0  # the RTC's own count: no date at all
        self.wall_s = float(START_S)
        self.monotonic_s = 1000.0
        self.visit: StreetVisit | None = None
        self.next_visit_s = self.monotonic_s + 1
        self.visits: list[StreetVisit] = []
        self.turnstile = turnstile  # with a turn sensor
        self.turns = 0
        self.cable_cut = False
        self.opened_s: dict[int, float] = {}  # who was let in, and when last
        self.decisions: list[tuple[float, str, bool]] = []  # (when, category, opened)
        self.pulses: list[tuple[float, int]] = []
        self.actions: list[tuple[float, Signal]] = []
        self.leaf = Leaf(self, exits) if exits is not None else None
        self.said = InputLevels()  # by the door, beside its leaf
        self.shown_until_s = 0.0  # a signal for a person
        self.centre = Centre(self)
        self.camera_lost = self.door_lost = False
        self.seen = Sighting(0.0, size=FRAME)  # whoever comes by
        self.lamp: list[bool] = []  # what was asked of the illuminator
        self.rules: DoorRules = PLAIN
        self.documents: TrustSource | None = None  # None: `newer`
        self.newer: list[TrustState] = []  # what trust documents bring next
        self.misled = False  # whether somebody has turned the RTC since the last sync
        self.boots = 0
        self.self_test: Callable[[], str | None] = selftest.failure_sentence
        document = trust.Issuers(
            version=1,
            signed_s=START_S - 86400,
            issuers=[
                trust.IssuerEntry(
                    name="city",
                    keys=[
                        trust.IssuerKey(
                            public=keys.public_to_text(self.people.city.public),
                            from_s=START_S - 7 * 86400,
                            until_s=START_S + 28 * 86400,
                        )
                    ],
                    longest_life_s=86400,
                )
            ],
        )
        self.trust = trust.Trust(document)
        lister = keys.private_key(b"l" * 32)
        listed = status.write(REVOKED, 2000, LIST, START_S - 3600, lister)
        self.lists = {("city", LIST): status.read(listed, [lister.public], LIST)}
        self.kept = self._commissioned() if rtc else StoredClock()
        self.memory = ProcessMemory()
        self.synced_span: TimeSpan | None = None
        long_ago = Now(interval(self.wall_s), self.monotonic_s - PLAIN.passback_s)
        self.memory.save(Lane(bytes(32), long_ago, Sensors(), None).to_save())
        self.boot()

    def boot(self) -> None:
        """The program starts: the disk is what it was, and so is the file in RAM."""
        self.boots += 1
        rng = random.Random(f"unit {self.seed} {self.boots}")
        self.store = DiskCountStore(self.folder, f"{SITE}/{UNIT}", rng)
        world = Ports(
            WorldWatch(self),
            self,
            self,
            self.store,
            StreetLine(self) if self.wired else None,
            self.memory,
            self.documents or Post(self),
        )
        settings = UnitSettings(
            unlock_ms=UNLOCK_MS,
            report_s=60,
            held_s=HELD_S,
            collector_key=self.centre.key.public,
            site=SITE,
            unit=UNIT,
            time_key=self.centre.time_key.public if self.wired else b"",
            sensors=Sensors(turn=self.turnstile),
        )
        self.loop = Loop(
            world,
            self._believed(),
            Place(GROUPS, SITE, UNIT),
            settings,
            rng,
            self.told,
            self.self_test,
        )

    def bring(self, rules: DoorRules) -> None:
        """The site's newer rules arrive, and hold from now on."""
        self.rules = rules
        self.newer.append(self._believed())

    def _believed(self) -> TrustState:
        return TrustState(
            self.trust,
            rules=self.rules,
            lists=self.lists,
            version=1,
            signed_s=START_S - 3600,
        )

    def _commissioned(self) -> StoredClock:
        """What the first start left: somebody was there, and a network."""
        shown_s = int(self.wall_s + self.rtc_ahead_s)
        offset_ms = round(1000 * (self.wall_s - shown_s - 0.5))
        return StoredClock(int(self.wall_s) - 60, 0, Relation(shown_s, offset_ms, 1500, shown_s))

    def rtc(self) -> RtcReading | None:
        """What the unit's RTC shows."""
        if not self.has_rtc:
            return None
        return RtcReading(int(self.wall_s + self.rtc_ahead_s), self.monotonic_s)

    def power_cut(self) -> None:
        """Nothing is said goodbye to; what was committed is there again after the start."""
        self.memory = ProcessMemory()
        self.synced_span = None
        self.opened_s = {}  # nobody can know any more; older codes are unsure instead
        self.store.close()
        self.monotonic_s += 20
        self.wall_s += 20
        self.boot()

    def restart(self) -> None:
        """The program ends and starts again; the power stays."""
        self.store.close()
        self.boot()

    def run(self, seconds: float) -> "Street":
        """Let time pass; every tick is checked. Raises AssertionError with the seed."""
        end_s = self.monotonic_s + seconds
        while self.monotonic_s < end_s:
            self.tick()
        return self

    def tick(self) -> None:
        """One tick of the street, the unit and the checks."""
        self._pass_time()
        before, told = len(self.pulses), len(self.centre.messages)
        self.loop.tick()
        try:
            self._check(self.pulses[before:])
            if self.leaf:
                self.leaf.check(self.centre.messages[told:])
        except AssertionError as error:
            raise AssertionError(f"street with seed {self.seed}: {error}") from None

    def _pass_time(self) -> None:
        self.monotonic_s += TICK_S
        self.wall_s += TICK_S
        if self.turnstile and not self.cable_cut and self.pulses:
            self.turns += self.monotonic_s - self.pulses[-1][0] == TURN_S
        if self.visit and self.monotonic_s >= self.visit.until_s:
            self.visit = None
            self.next_visit_s = self.monotonic_s + self.rng.expovariate(self.per_hour / 3600)
        if self.visit is None and self.monotonic_s >= self.next_visit_s:
            kind = self.rng.choices(list(self.kinds), [n for n, _ in self.kinds.values()])[0]
            who = self.rng.randrange(500)
            text = self.people.text(kind, who, int(self.wall_s))
            until_s = self.monotonic_s + self.rng.uniform(1, 5)
            again = self.just_passed(who)
            self.visit = StreetVisit(kind, text, self.monotonic_s, until_s, who, again)
            self.visits.append(self.visit)
        self._go_wrong()
        if self.leaf:
            self.leaf.pass_time()
        self.centre.pass_time()

    def _go_wrong(self) -> None:
        often = self.troubles
        if self._happens(often.power_cuts):
            self.power_cut()
        if self._happens(often.restarts):
            self.restart()
        if self._happens(often.broker_outages):
            self.centre.down_until_s = self.monotonic_s + self.rng.uniform(10, 3600)
        if self._happens(often.clock_steps):
            self.rtc_ahead_s += self.rng.uniform(-9000, 9000)
        if self._happens(often.camera_losses):
            self.camera_lost = True
        elif self.camera_lost and self.rng.random() < 0.1:
            self.camera_lost = False
        if self._happens(often.door_losses):
            self.door_lost = True
        elif self.door_lost and self.rng.random() < 0.1:
            self.door_lost = False

    def just_passed(self, who: int) -> bool:
        """Whether this door has let `who` in within passback time."""
        return self.monotonic_s - self.opened_s.get(who, float("-inf")) < PLAIN.passback_s

    def _happens(self, per_hour: float) -> bool:
        return self._happens_by(self.rng, per_hour)

    def _happens_by(self, rng: random.Random, per_hour: float) -> bool:
        return per_hour > 0 and rng.random() < per_hour * TICK_S / 3600

    def _check(self, pulses: list[tuple[float, int]]) -> None:
        for at_s, unlock_ms in pulses:
            assert self.visit is not None, "the relay pulsed with nobody in view"
            assert self.visit.kind in OPENING, f"the relay pulsed for a {self.visit.kind} code"
            assert unlock_ms == UNLOCK_MS, f"a pulse of {unlock_ms} ms"
            assert not self.said.latched, "the relay pulsed while the controller was latched"
            assert not self.just_passed(self.visit.who), "a code has opened twice"
            if self.visit.who >= 0:
                self.opened_s[self.visit.who] = at_s
        if len(self.pulses) >= 2:
            apart_s = self.pulses[-1][0] - self.pulses[-2][0]
            assert apart_s >= UNLOCK_MS / 1000, "two pulses overlap"
        self.centre.check()

    # The ports that the loop sees.

    def latest(self) -> Sighting:
        """The unit's decoder reads some of the frames."""
        if self.camera_lost:
            raise CameraLost("the camera is gone")
        shown = self.visit is not None and self.rng.random() <= READ_RATE
        held = (Symbol(self.visit.text, HELD),) if self.visit and shown else ()
        return replace(self.seen, seen_s=self.monotonic_s, symbols=held + self.seen.symbols)

    def wait(self, seconds: float) -> None:
        """Time passes in `tick` alone."""

    def apply(self, action: DoorAction) -> None:
        if self.door_lost:
            raise DoorLost("the pins are gone")
        if action.signal is Signal.SHUT_ME:
            assert self.monotonic_s >= self.shown_until_s, "the reminder cuts a person's signal"
            assert self.leaf
            assert self.leaf.propped, "the buzzer asks to shut a door that is not held"
            assert not self.said.level("fire"), "the buzzer asks for something during a fire"
        else:
            self.shown_until_s = self.monotonic_s + action.lasts_ms / 1000
        self.actions.append((self.monotonic_s, action.signal))
        if action.unlock_ms:
            self.pulses.append((self.monotonic_s, action.unlock_ms))

    def settle(self) -> bool:
        if self.door_lost:
            raise DoorLost("the pins are gone")
        return not self.pulses or self.monotonic_s - self.pulses[-1][0] > UNLOCK_MS / 1000

    def illuminate(self, on: bool) -> None:
        if self.door_lost:
            raise DoorLost("the pins are gone")
        self.lamp.append(on)

    def read_inputs(self) -> InputLevels:
        if self.door_lost:
            raise DoorLost("the pins are gone")
        return self.leaf.says(self.said) if self.leaf else self.said

    def take_turns(self) -> tuple[int, int]:
        turns, self.turns = self.turns, 0
        return turns, 0

    def close(self) -> None:
        """Nothing to give back."""

    def told(self, verdict: Verdict, decision: Decision) -> None:
        self.decisions.append((self.monotonic_s, decision.category, decision.opens))


class Leaf:
    """The leaf of the door and its exit button: who is let through opens it, and some others do."""

    def __init__(self, street: Street, exits: float) -> None:
        self.street, self.exits = street, exits
        self.rng = random.Random(f"leaf {street.seed}")
        self.openings: list[tuple[float, float]] = []  # from and until, what is to come included
        self.pressed_s = float("-inf")
        self.answered = 0  # pulses for which somebody has come
        self.forced: list[float] = []  # when
        self.shut_s = street.monotonic_s  # when it was last shut for SHUT_S
        self.closed_s: float | None = None
        self.truly: dict[str, float] = {}  # when the cause of each alarm was there last

    @property
    def open(self) -> bool:
        return any(a <= self.street.monotonic_s < b for a, b in self.openings)

    @property
    def propped(self) -> bool:
        """Open for too long, by one person or by several."""
        return self.street.monotonic_s - self.shut_s > HELD_S

    def says(self, said: InputLevels) -> InputLevels:
        pressed = self.street.monotonic_s - self.pressed_s < 2 * TICK_S
        return but(said, contact=self.open, exit_button=pressed)

    def pass_time(self) -> None:
        street, now_s = self.street, self.street.monotonic_s
        self.openings = [(a, b) for a, b in self.openings if b > now_s - 1]
        for _ in street.pulses[self.answered :]:
            self._comes(now_s + self.rng.uniform(0.5, 4))  # the last in the pulse's grace
        self.answered = len(street.pulses)
        if street._happens_by(self.rng, self.exits):
            self.pressed_s = now_s
            self._comes(now_s + self.rng.uniform(0, 4))
        unlocked = street.pulses and now_s < street.pulses[-1][0] + UNLOCK_MS / 1000 + GRACE_S
        quiet = not self.openings and not unlocked and now_s - self.pressed_s > 10
        if quiet and street._happens_by(self.rng, street.troubles.forced):
            self.openings.append((now_s, now_s + self.rng.uniform(1, 20)))
            self.forced.append(now_s)
        if self.open:
            self.closed_s = None
        elif self.closed_s is None:
            self.closed_s = now_s
        if self.closed_s is not None and now_s - self.closed_s >= SHUT_S:
            self.shut_s = now_s
        if street.door_lost:  # what was told stays told
            self.truly |= {
                a: now_s for a, at_s in self.truly.items() if now_s - at_s <= ALARM_HOLD_S
            }
        if self.forced and self.forced[-1] >= self.shut_s:
            self.truly["forced"] = now_s
        if self.propped:
            self.truly["held"] = now_s
        causes = {row.alarm: street.said.level(name) for name, row in INPUTS.items() if row.alarm}
        for alarm, there in {**causes, "latched": street.said.latched}.items():
            if there:
                self.truly[alarm] = now_s

    def _comes(self, at_s: float) -> None:
        wedged = self.rng.random() < self.street.troubles.propped / max(1, self.exits)
        lasts_s = self.rng.uniform(60, 200) if wedged else self.rng.uniform(1.5, 5)
        self.openings.append((at_s, at_s + lasts_s))

    def check(self, messages: "list[Message]") -> None:
        """No alarm without its cause."""
        for message in messages:
            if message.leaf == "health":
                for alarm in msgspec.json.decode(message.payload)["alarms"]:
                    ago_s = self.street.monotonic_s - self.truly.get(alarm, float("-inf"))
                    assert ago_s <= ALARM_HOLD_S + 2, f"{alarm} was told and is not so"


@dataclass
class WorldWatch:
    """The unit's clock: the real reckoning, from what a power cut left."""

    street: Street

    def __post_init__(self) -> None:
        street = self.street
        self.reckoning = Reckoning(
            street.kept, street.rtc(), street.monotonic_s, RTC_PPM, street.synced_span
        )
        self.save_due_s = street.monotonic_s + SAVE_EVERY_S

    def read(self) -> Now:
        street, known = self.street, self.reckoning
        known.take_rtc(street.rtc())
        at_s = street.monotonic_s
        if known.rtc == "broken" and street.kept.relation is not None:
            street.kept = known.to_store(at_s)
        if at_s >= self.save_due_s:
            self.save_due_s = at_s + SAVE_EVERY_S
            street.kept = known.to_store(at_s)
        now = Now(known.at(at_s), at_s, known.powered_s(at_s), known.rtc)
        true = now.interval.earliest_s <= street.wall_s <= now.interval.latest_s
        assert true or street.misled, f"the true time is {street.wall_s} and not in {now.interval}"
        return now

    def note_sync(self, sync: Sync) -> None:
        self.reckoning.take_sync(sync, self.street.rtc())
        self.street.misled = False
        self.street.synced_span = self.reckoning.sync
        self.street.kept = self.reckoning.to_store(self.street.monotonic_s)


@dataclass
class Post:
    """What brings the unit newer trust documents."""

    street: Street

    def latest(self) -> TrustState | None:
        newer, self.street.newer = self.street.newer, []
        return newer[-1] if newer else None


@dataclass
class Message:
    """What an observer at the broker sees."""

    at_s: float
    leaf: str
    payload: bytes


class Centre:
    """Broker and collector: stores a cell once, acknowledges after that, forgets nothing."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self.key = keys.private_key(b"c" * 32)
        self.down_until_s = 0.0
        self.messages: list[Message] = []
        self.cells: dict[tuple[str, int], report.Cell] = {}
        self.fresh: list[report.Cell] = []  # not yet looked at
        self.acks: list[tuple[float, bytes]] = []
        self.time_key = keys.private_key(b"t" * 32)
        self.answers: list[tuple[float, bytes]] = []
        self.rng = random.Random(f"centre {street.seed}")

    @property
    def up(self) -> bool:
        return self.street.monotonic_s >= self.down_until_s

    def publish(self, leaf: str, payload: bytes) -> None:
        """A message arrives, perhaps twice."""
        self.messages.append(Message(self.street.monotonic_s, leaf, payload))
        if leaf == "counts":
            for _ in range(2 if self.rng.random() < self.street.troubles.repeats else 1):
                self._collect(report.decode_counts(payload))
        if leaf == "ask":
            answer = report.TimeAnswer(
                site=SITE,
                unit=UNIT,
                nonce=report.decode_time_request(payload).nonce,
                time_ms=round(1000 * self.street.wall_s) + 100,
                error_ms=200,
            )
            due_s = self.street.monotonic_s + 0.2
            self.answers.append((due_s, report.sign_time_answer(answer, self.time_key)))

    def _collect(self, counts: report.CountsReport) -> None:
        self.fresh += counts.cells
        for cell in counts.cells:
            key = (counts.installation, cell.number)
            assert self.cells.setdefault(key, cell) == cell, f"cell {key} came with two contents"
        if counts.cells and self.rng.random() >= self.street.troubles.lost_acks:
            last = counts.cells[-1]
            ack = report.Ack(
                site=SITE,
                unit=UNIT,
                installation=counts.installation,
                first=counts.cells[0].number,
                last=last.number,
                digest=report.digest(last),
            )
            self.acks.append((self.street.monotonic_s + 0.5, report.sign_ack(ack, self.key)))

    def pass_time(self) -> None:
        """Acknowledgements sent during an outage are lost."""
        if not self.up:
            self.acks.clear()
            self.answers.clear()

    def check(self) -> None:
        """What nobody outside may ever see."""
        for cell in self.fresh:
            assert cell.count >= K, f"a cell of {cell.count}, below k, has left the unit"
        self.fresh.clear()


class StreetLine:
    """The unit's end of the way to the centre."""

    def __init__(self, street: Street) -> None:
        self.street = street

    def send(self, leaf: report.Leaf, payload: bytes) -> None:
        if self.street.centre.up:
            self.street.centre.publish(leaf, payload)

    def take_received(self) -> list[tuple[report.Leaf, bytes]]:
        centre, now_s = self.street.centre, self.street.monotonic_s
        come: list[tuple[report.Leaf, bytes]] = [
            ("ack", payload) for at_s, payload in centre.acks if at_s <= now_s
        ]
        centre.acks = [ack for ack in centre.acks if ack[0] > now_s]
        come += [("answer", payload) for at_s, payload in centre.answers if at_s <= now_s]
        centre.answers = [answer for answer in centre.answers if answer[0] > now_s]
        return come

    def connected(self) -> bool:
        return self.street.centre.up

    def close(self) -> None:
        """Nothing to give back."""


@dataclass
class Ledger:
    """Where every decision of a street is: `decided` must equal the rest."""

    decided: int
    stored: int
    unacknowledged: int
    open: int
    by_category: dict[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        return self.decided == self.stored + self.unacknowledged + self.open


def ledger(street: Street) -> Ledger:
    """Read from the unit's disk and the collector's cells. Cells that the collector has stored
    and the unit still keeps (a lost acknowledgement) are counted as stored.
    """
    db = street.store._db
    closed = db.execute("SELECT number, category, count FROM closed_cell").fetchall()
    stored = street.centre.cells
    waiting = [row for row in closed if (street.store.installation, row[0]) not in stored]
    opened = db.execute("SELECT category, count FROM open_cell").fetchall()
    categories: dict[str, int] = {}
    for category, count in [
        *((c.category, c.count) for c in stored.values()),
        *((row[1], row[2]) for row in waiting),
        *opened,
    ]:
        categories[category] = categories.get(category, 0) + count
    return Ledger(
        decided=db.execute("SELECT decided FROM unit").fetchone()[0],
        stored=sum(cell.count for cell in stored.values()),
        unacknowledged=sum(row[2] for row in waiting),
        open=sum(row[1] for row in opened),
        by_category={k: v for k, v in categories.items() if v},
    )
