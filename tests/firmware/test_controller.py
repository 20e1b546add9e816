"""The controller's rules, judged from the line and the pins. Runs in MicroPython and in CPython."""

import unittest

import inputs
import panel
from controller import Controller
from panel import ReferencePanel

KEY = bytes(range(1, 17))
PERIOD = 2**30
START = PERIOD - 30_000  # the clock turns over in the middle of most tests


class ControllerBench:
    """A controller, a clock that a test moves by hand, and what its pins did."""

    def __init__(
        self, key=KEY, latch="none", latched=False, levels=0, start=START, stuck=False, **more
    ):
        self.at = start
        self.seed = 1
        self.stuck = stuck  # its random bytes are always the same
        self.levels = levels
        self.controller = Controller(key, 0, latch, latched, self.random, self.now, **more)
        self.on_ms = 0  # how long the relay was on
        self.wire = []  # all that came over the line
        self.out = self.controller.update(levels, self.now)

    @property
    def now(self):
        return self.at % PERIOD

    def random(self, n):
        if self.stuck:
            return b"*" * n
        out = bytearray()
        for _ in range(n):
            self.seed = (self.seed * 1664525 + 1013904223) % 2**32
            out.append(self.seed >> 24)
        return bytes(out)

    def go(self, ms, step=5):
        """Let `ms` pass in silence."""
        end = self.at + ms
        while self.at < end:
            by = min(step, end - self.at)
            self.at += by
            self.out = self.controller.update(self.levels, self.now)
            self.on_ms += by if self.out.relay else 0

    def say(self, data):
        """Put `data` on the line; return the answer's bytes."""
        self.wire.append(data)
        self.controller.receive(data, self.now)
        answer = self.controller.send()
        self.out = self.controller.update(self.levels, self.now)
        return answer


class Pair:
    """A panel and its door."""

    def __init__(self, key=KEY, **more):
        self.door = ControllerBench(**more)
        self.panel = ReferencePanel(key, self.door.random)

    def plain(self, code, data=b"", block=b""):
        return self.panel.parse(self.door.say(self.panel.plain(code, data, block)))

    def ask(self, code, data=b""):
        return self.panel.parse(self.door.say(self.panel.secured(code, data)))

    def meet(self):
        """A new session."""
        self.panel.again()
        self.plain(panel.ID, b"\0")
        self.plain(panel.CAP, b"\0")
        reply = self.panel.parse(self.door.say(self.panel.challenge()))
        reply = self.panel.parse(self.door.say(self.panel.challenged(reply)))
        assert reply.code == panel.RMAC_I
        return self

    def poll(self, ms, every_ms=50, step=5):
        """Poll for `ms`; return what was told besides ACK."""
        told = []
        end = self.door.at + ms
        while self.door.at < end:
            self.door.go(min(every_ms, end - self.door.at), step)
            reply = self.ask(panel.POLL)
            if reply.code != panel.ACK:
                told.append((reply.code, bytes(reply.data)))
        return told

    def ready(self):
        """A session that has run for a while: pulses are saved up, and nothing is new."""
        self.meet()
        self.poll(3000, every_ms=300, step=50)
        self.door.on_ms = 0
        return self


WRONG = b"\1\0\0\0"  # what a MAC is hurt by
STATUS = (panel.LSTAT, panel.ISTAT, panel.OSTAT, panel.RSTAT)
ANSWERS = {
    panel.LSTAT: panel.LSTATR,
    panel.ISTAT: panel.ISTATR,
    panel.OSTAT: panel.OSTATR,
    panel.RSTAT: panel.RSTATR,
}
GUARDED = (
    (panel.OUT, panel.pulse(1000)),
    (panel.LED, panel.colour(2, 1000)),
    (panel.BUZ, bytes((0, 2, 1, 1, 1))),
    (panel.COMSET, bytes((5, 0x80, 0x25, 0, 0))),
    (panel.KEYSET, bytes((1, 16)) + bytes(range(16))),
)


class ControllerSessionTest(unittest.TestCase):
    def test_a_session(self):
        pair = Pair().meet()
        self.assertEqual(pair.ask(panel.POLL).block, 0x18)
        pair.poll(500)
        self.assertEqual(pair.ask(panel.POLL).block, 0x16)
        self.assertTrue(pair.door.controller.linked(pair.door.now))

    def test_what_anybody_is_told(self):
        pair = Pair(serial=b"ABCD")
        self.assertEqual(pair.plain(panel.POLL).code, panel.ACK)
        reply = pair.plain(panel.ID, b"\0")
        self.assertEqual((reply.code, bytes(reply.data[5:9])), (panel.PDID, b"ABCD"))
        self.assertEqual(len(reply.data), 12)
        reply = pair.plain(panel.CAP, b"\0")
        self.assertEqual((reply.code, len(reply.data) % 3), (panel.PDCAP, 0))
        told = {
            reply.data[n]: tuple(reply.data[n + 1 : n + 3]) for n in range(0, len(reply.data), 3)
        }
        self.assertEqual(told[1][1], inputs.COUNT)
        self.assertEqual(told[2], (3, 1))  # one output, timed
        self.assertEqual(told[8], (1, 0))  # CRC-16
        self.assertEqual(told[9], (1, 0))  # AES-128, no default key
        self.assertEqual(told[10], (128, 0))

    def test_nothing_is_driven_without_a_session(self):
        pair = Pair()
        for code, data in GUARDED:
            reply = pair.plain(code, data)
            self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))
            pair.door.go(1000)
        for code in (0x63, 0x6B, 0x80, 0xFF):
            self.assertEqual(bytes(pair.plain(code).data), b"\3")
        self.assertEqual(pair.door.on_ms, 0)

    def test_another_key(self):
        pair = Pair(key=bytes(range(2, 18)))
        with self.assertRaises(panel.Wrong):
            pair.meet()
        reply = pair.plain(panel.SCRYPT, bytes(16), bytes((3, 0x13, 1)))
        self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))

    def test_no_key_or_the_default_one(self):
        for key in (None, panel.DEFAULT_KEY, bytes(16), b"\xaa" * 16):
            for selector in (0, 1):
                pair = Pair(key=key or KEY)
                pair.door = ControllerBench(key=key)
                self.assertEqual(pair.plain(panel.ID, b"\0").code, panel.PDID)
                self.assertEqual(pair.plain(panel.CAP, b"\0").code, panel.PDCAP)
                reply = pair.panel.parse(pair.door.say(pair.panel.challenge(selector)))
                self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))
                self.assertEqual(
                    pair.plain(panel.SCRYPT, bytes(16), bytes((3, 0x13, 1))).code, panel.NAK
                )

    def test_the_default_key_is_not_taken_for_the_pairs(self):
        """A panel that asks for SCBK-D, and uses it, gets nowhere with a door that has a key."""
        pair = Pair(key=panel.DEFAULT_KEY)
        pair.door = ControllerBench()
        reply = pair.panel.parse(pair.door.say(pair.panel.challenge(selector=0)))
        self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))

    def test_a_challenge_of_another_form(self):
        pair = Pair()
        for data, block in (
            (bytes(7), b"\3\x11\1"),
            (bytes(9), b"\3\x11\1"),
            (bytes(8), b"\3\x13\1"),
            (bytes(8), b""),
        ):
            self.assertEqual(pair.plain(panel.CHLNG, data, block).code, panel.NAK)
        for data, block in ((bytes(16), b"\3\x11\1"), (bytes(15), b"\3\x13\1"), (bytes(16), b"")):
            pair.panel.parse(pair.door.say(pair.panel.challenge()))
            self.assertEqual(pair.plain(panel.SCRYPT, data, block).code, panel.NAK)

    def test_nothing_is_carried_out_between_challenge_and_proof(self):
        pair = Pair()
        pair.panel.challenged(pair.panel.parse(pair.door.say(pair.panel.challenge())))
        pair.panel.session.r_mac = bytes(16)  # as the door's chain would begin
        reply = pair.panel.parse(
            pair.door.say(pair.panel.secured(panel.OUT, panel.pulse(500), sequence=1))
        )
        self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))
        self.assertFalse(pair.door.out.relay)

    def test_it_ends_after_8_s_of_silence(self):
        for ms, code in ((7_990, panel.ACK), (8_010, panel.NAK)):
            pair = Pair().ready()
            pair.door.go(ms)
            self.assertEqual(
                pair.panel.parse(pair.door.say(pair.panel.secured(panel.POLL))).code, code
            )

    def test_another_address_and_everybodys_are_silence(self):
        pair = Pair()
        for address in (1, 0x7E, 0x7F, 0x80):
            for code in (panel.POLL, panel.ISTAT, panel.ID):
                self.assertTrue(
                    pair.door.say(pair.panel.frame(code, b"", address=address, sequence=0)) is None
                )

    def test_comset_and_keyset_change_nothing(self):
        pair = Pair(baud=38_400).ready()
        reply = pair.ask(panel.COMSET, bytes((5, 0x80, 0x25, 0, 0)))
        self.assertEqual((reply.code, bytes(reply.data)), (panel.COM, bytes((0, 0, 0x96, 0, 0))))
        self.assertEqual(pair.ask(panel.KEYSET, bytes((1, 16)) + bytes(range(16))).code, panel.NAK)
        self.assertEqual(pair.ask(panel.POLL).code, panel.ACK)
        pair.meet()  # with the key it had

    def test_records_of_another_length(self):
        pair = Pair().ready()
        for code, length in (
            (panel.OUT, 3),
            (panel.OUT, 5),
            (panel.LED, 13),
            (panel.BUZ, 6),
            (panel.COMSET, 4),
        ):
            reply = pair.ask(code, bytes(length))
            self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\2"))
        for code in (panel.OUT, panel.LED, panel.BUZ):
            self.assertEqual(pair.ask(code).code, panel.NAK)
        self.assertEqual(bytes(pair.ask(0x63).data), b"\3")
        self.assertEqual(pair.ask(panel.POLL).code, panel.ACK)

    def test_id_and_cap_within_a_session(self):
        pair = Pair().ready()
        self.assertEqual(pair.ask(panel.ID, b"\0").code, panel.PDID)
        self.assertEqual(pair.ask(panel.CAP, b"\0").code, panel.PDCAP)

    def test_a_clock_that_goes_back_ends_it(self):
        pair = Pair().ready()
        pair.ask(panel.OUT, panel.pulse(5000))
        pair.door.at -= 60_000
        pair.door.go(5)
        self.assertFalse(pair.door.out.relay)
        self.assertEqual(
            pair.panel.parse(pair.door.say(pair.panel.secured(panel.POLL))).code, panel.NAK
        )


class RelayTest(unittest.TestCase):
    def out(self, pair, data):
        reply = pair.ask(panel.OUT, data)
        self.assertEqual(reply.code, panel.OSTATR)
        return reply.data[0]

    def test_a_pulse(self):
        for ms in (100, 500, 1000, 3000, 10_000):
            pair = Pair().ready()
            self.assertEqual(self.out(pair, panel.pulse(ms)), 1)
            told = pair.poll(ms + 500)
            self.assertEqual(pair.door.on_ms, ms - 5)  # it is counted when it is over
            self.assertEqual(told, [(panel.OSTATR, b"\0")])

    def test_off_ends_it(self):
        for code in (1, 6):
            pair = Pair().ready()
            self.out(pair, panel.pulse(5000))
            pair.poll(500)
            self.assertEqual(self.out(pair, panel.pulse(0, code=code)), 0)
            self.assertFalse(pair.door.out.relay)
            pair.poll(1000)
            self.assertEqual(pair.door.on_ms, 500)

    def test_on_for_ever_is_refused(self):
        for data in (
            panel.pulse(0, code=2),
            panel.pulse(1000, code=2),
            panel.pulse(0, code=4),
            panel.pulse(1000, code=4),
            panel.pulse(0),
            panel.pulse(1000, code=0),
            panel.pulse(1000, code=3),
            panel.pulse(1000, code=7),
            panel.pulse(1000, code=255),
            panel.pulse(1000, output=1),
        ):
            pair = Pair().ready()
            self.assertEqual(self.out(pair, data), 0)
            pair.poll(500)
            self.assertEqual(pair.door.on_ms, 0)
            self.assertEqual(self.out(pair, panel.pulse(300)), 1)  # and the door serves on

    def test_longer_than_10_s_is_cut(self):
        pair = Pair().ready()
        self.assertEqual(self.out(pair, panel.pulse(6_553_500)), 1)
        pair.poll(15_000)
        self.assertEqual(pair.door.on_ms, 9_995)

    def test_it_is_not_lengthened(self):
        pair = Pair().ready()
        self.out(pair, panel.pulse(1000))
        for _ in range(9):
            pair.poll(100)
            self.out(pair, panel.pulse(1000))
        self.out(pair, panel.pulse(1000) + panel.pulse(1000))
        pair.poll(1000)
        self.assertEqual(pair.door.on_ms, 995)

    def test_how_many(self):
        pair = Pair().meet()
        pair.poll(20_000)
        given = 0
        for _ in range(20):
            given += self.out(pair, panel.pulse(100))
            pair.poll(400)
        self.assertTrue(10 <= given <= 15, given)

    def test_it_falls_1500_ms_after_the_last_frame(self):
        pair = Pair().ready()
        self.out(pair, panel.pulse(10_000))
        pair.poll(1000)
        self.assertTrue(pair.door.out.relay)
        pair.door.go(1_495)
        self.assertTrue(pair.door.out.relay)
        pair.door.go(5)
        self.assertFalse(pair.door.out.relay)
        pair.poll(500)  # the same session goes on
        self.assertFalse(pair.door.out.relay)
        pair.meet()
        pair.poll(9_000)
        self.assertEqual(pair.door.on_ms, 2_495)

    def test_a_new_session_does_not_bring_it_back(self):
        pair = Pair().ready()
        self.out(pair, panel.pulse(10_000))
        pair.poll(500)
        pair.meet()
        self.assertFalse(pair.door.out.relay)
        pair.poll(10_000)
        self.assertEqual(pair.door.on_ms, 500)

    def test_what_was_held_back_on_its_way(self):
        """OUT in the first frame after a lost link may be as old as the silence."""
        for silence_ms, opens in ((1_450, 1), (1_550, 0), (7_000, 0)):
            pair = Pair().ready()
            held = pair.panel.secured(panel.OUT, panel.pulse(1000))
            pair.door.go(silence_ms)
            reply = pair.panel.parse(pair.door.say(held))
            self.assertEqual((reply.code, reply.data[0]), (panel.OSTATR, opens))
        self.assertEqual(self.out(pair, panel.pulse(1000)), 1)

    def test_a_restart_within_a_pulse(self):
        pair = Pair().ready()
        self.out(pair, panel.pulse(10_000))
        pair.door = ControllerBench()
        pair.door.go(2000)
        answer = pair.door.say(pair.panel.secured(panel.POLL))
        self.assertEqual(pair.panel.parse(answer).code, panel.NAK)
        self.assertEqual(pair.door.on_ms, 0)


class LineTest(unittest.TestCase):
    def test_a_repeated_frame_gets_the_same_answer_and_nothing_is_done_twice(self):
        pair = Pair().ready()
        frame = pair.panel.secured(panel.OUT, panel.pulse(300))
        answer = pair.door.say(frame)
        self.assertTrue(pair.door.out.relay)
        pair.door.go(900)
        self.assertEqual(pair.door.say(frame), answer)
        self.assertFalse(pair.door.out.relay)
        pair.panel.parse(answer)
        self.assertEqual(pair.ask(panel.POLL).code, panel.OSTATR)  # and the chain goes on

    def test_a_repeated_frame_keeps_no_link(self):
        pair = Pair().ready()
        frame = pair.panel.secured(panel.OUT, panel.pulse(10_000))
        answer = pair.door.say(frame)
        for _ in range(15):
            pair.door.go(100)
            self.assertEqual(pair.door.say(frame), answer)
        self.assertFalse(pair.door.out.relay)
        for _ in range(70):
            pair.door.go(100)
            pair.door.say(frame)
        self.assertTrue(pair.door.say(frame) != answer)  # the session is over too

    def test_a_repeated_challenge_and_proof(self):
        pair = Pair()
        pair.plain(panel.ID, b"\0")
        frame = pair.panel.challenge()
        answer = pair.door.say(frame)
        frame = pair.panel.challenged(pair.panel.parse(answer))
        answer = pair.door.say(frame)
        self.assertEqual(pair.door.say(frame), answer)
        self.assertEqual(pair.ask(panel.POLL).code, panel.ISTATR)

    def test_a_lost_frame(self):
        pair = Pair().ready()
        frame = pair.panel.secured(panel.OUT, panel.pulse(300))  # nobody hears it
        pair.door.go(1000)
        self.assertEqual(pair.panel.parse(pair.door.say(frame)).code, panel.OSTATR)
        self.assertTrue(pair.door.out.relay)

    def test_a_late_frame(self):
        """Of this session, twice on the line: it is not the last one, and not the next."""
        pair = Pair().ready()
        late = [pair.panel.secured(panel.OUT, panel.pulse(300))]
        pair.panel.parse(pair.door.say(late[0]))
        pair.poll(1000)
        for n in range(6):
            late.append(pair.panel.secured(panel.POLL))
            pair.panel.parse(pair.door.say(late[-1]))
            for frame in late[:-1]:
                if (frame[4] & 3) != pair.panel.next():  # the next one's number: see below
                    self.assertTrue(pair.door.say(frame) is None)
            self.assertFalse(pair.door.out.relay, n)
        self.assertEqual(pair.ask(panel.POLL).code, panel.ACK)

    def test_a_bad_line(self):
        """Commands and answers are lost, and some come twice: one session, each pulse once."""
        pair = Pair().ready()
        seed, asked, rose = [3], 0, 0

        def pick(n):
            seed[0] = (seed[0] * 1664525 + 1013904223) % 2**32
            return (seed[0] >> 8) % n

        for n in range(300):
            opens = n % 30 == 29
            frame = pair.panel.secured(*((panel.OUT, panel.pulse(200)) if opens else (panel.POLL,)))
            asked += opens
            answer = None
            while answer is None:  # as a panel does: the same bytes, until there is an answer
                pair.door.go(60)
                if pick(4) == 0:
                    continue
                was = pair.door.out.relay
                answer = pair.door.say(frame)
                rose += pair.door.out.relay and not was
                if pick(4) == 0:
                    self.assertEqual(pair.door.say(frame), answer)
                if pick(4) == 0:
                    answer = None
            reply = pair.panel.parse(answer)
            self.assertTrue(reply.block in (0x16, 0x18), n)
            pair.door.go(100)
        self.assertEqual((rose, asked), (10, 10))

    def test_a_number_that_is_out_of_step(self):
        pair = Pair().ready()
        for by in (1, 2):
            pair.ready()
            number = (pair.panel.next() + by - 1) % 3 + 1
            reply = pair.panel.parse(pair.door.say(pair.panel.secured(panel.POLL, sequence=number)))
            self.assertEqual((reply.code, bytes(reply.data), reply.block), (panel.NAK, b"\4", 0))
            frame = pair.panel.secured(panel.OUT, panel.pulse(500))
            self.assertEqual(pair.panel.parse(pair.door.say(frame)).code, panel.NAK)
        self.assertEqual(pair.door.on_ms, 0)

    def test_number_0_begins_anew(self):
        pair = Pair().ready()
        pair.ask(panel.OUT, panel.pulse(5000))
        pair.panel.sequence = -1
        self.assertEqual(pair.plain(panel.POLL).code, panel.ACK)
        self.assertFalse(pair.door.out.relay)
        frame = pair.panel.secured(panel.POLL)
        self.assertEqual(pair.panel.parse(pair.door.say(frame)).code, panel.NAK)

    def test_number_0_within_a_session(self):
        """A right MAC does not help a frame that begins anew."""
        pair = Pair().ready()
        reply = pair.panel.parse(
            pair.door.say(pair.panel.secured(panel.OUT, panel.pulse(500), sequence=0))
        )
        self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))
        self.assertFalse(pair.door.out.relay)

    def test_plain_frames_leave_a_session_alone(self):
        pair = Pair().ready()
        more = ((panel.POLL, b""), (panel.ID, b"\0"), (panel.SCRYPT, bytes(16)))
        for code, data in GUARDED + more:
            reply = pair.panel.parse(
                pair.door.say(pair.panel.frame(code, data, sequence=pair.panel.next()))
            )
            self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))
            self.assertEqual(pair.ask(panel.POLL).code, panel.ACK)
        self.assertFalse(pair.door.out.relay)

    def test_a_wrong_crc_is_silence_and_changes_nothing(self):
        pair = Pair().ready()
        for n in range(40):
            hurt = bytearray(
                pair.panel.secured(panel.OUT, panel.pulse(500), sequence=pair.panel.next())
            )
            hurt[n % len(hurt)] ^= 1 << n % 7
            self.assertTrue(pair.door.say(bytes(hurt)) is None, n)
            pair.door.go(110)
        self.assertEqual(pair.ask(panel.POLL).code, panel.ACK)
        self.assertEqual(pair.door.on_ms, 0)

    def test_blocks_that_only_a_device_sends(self):
        pair = Pair().ready()
        for kind in (0x16, 0x18, 0x19, 0xFF):
            frame = pair.panel.frame(panel.POLL, b"", bytes((2, kind)), mac=bytes(4))
            self.assertTrue(pair.door.say(frame) is None)
        self.assertEqual(pair.ask(panel.POLL).code, panel.ACK)

    def test_a_flood_of_frames_does_not_keep_the_relay_waiting(self):
        """A challenge costs the most; of a whole buffer of them only some are taken."""
        pair = Pair()
        rng, asked = pair.door.controller._peripheral._rng, [0]

        def counted(n):
            asked[0] += 1
            return rng(n)

        pair.door.controller._peripheral._rng = counted
        flood = b"".join(pair.panel.challenge() for _ in range(13))
        for _ in range(10):
            asked[0] = 0
            pair.door.say(flood)
            self.assertTrue(1 <= asked[0] <= 4, asked[0])
            pair.door.go(20)
        pair.door.go(200)
        pair.meet()

    def test_a_flood_leaves_nothing_to_be_done_later(self):
        """What was not looked at is gone: else it would fill the memory, and come late."""
        pair = Pair().ready()
        flood = pair.panel.frame(panel.POLL, sequence=pair.panel.next()) * 16
        for _ in range(100):
            pair.door.say(flood)
            pair.door.go(5)
        self.assertEqual(pair.ask(panel.OUT, panel.pulse(500)).data[0], 1)

    def test_two_frames_at_once_get_one_answer(self):
        pair = Pair()
        answer = pair.door.say(pair.panel.plain(panel.POLL) + pair.panel.plain(panel.ID, b"\0"))
        self.assertEqual(pair.panel.parse(answer).code, panel.PDID)
        self.assertTrue(pair.door.controller.send() is None)


class HostileTest(unittest.TestCase):
    def hurt(self, pair, code=panel.OUT, data=None):
        """A frame with the right CRC and number and a wrong MAC; return the answer."""
        data = panel.pulse(500) if data is None else data
        frame = pair.panel.secured(code, data, sequence=pair.panel.next(), wrong_mac=WRONG)
        return pair.panel.parse(pair.door.say(frame))

    def test_a_wrong_mac_ends_the_session(self):
        for bit in (0, 7, 8, 15, 16, 23, 24, 31):
            pair = Pair().ready()
            pair.ask(panel.OUT, panel.pulse(5000))
            wrong = (1 << bit).to_bytes(4, "little")
            frame = pair.panel.secured(panel.POLL, sequence=pair.panel.next(), wrong_mac=wrong)
            reply = pair.panel.parse(pair.door.say(frame))
            self.assertEqual((reply.code, bytes(reply.data), reply.block), (panel.NAK, b"\6", 0))
            self.assertFalse(pair.door.out.relay)
            reply = pair.panel.parse(pair.door.say(pair.panel.secured(panel.POLL)))
            self.assertEqual(reply.code, panel.NAK)

    def test_data_that_do_not_decrypt(self):
        """The MAC is right and the padding is not."""
        pair = Pair().ready()
        session = pair.panel.session
        pair.panel.sequence = pair.panel.next()
        size = 5 + 2 + 1 + 16 + 6
        body = bytes((0x53, 0, size, 0, pair.panel.sequence | 12, 2, 0x17, panel.OUT)) + bytes(16)
        mac = session.chain(body, session.r_mac)[:4]
        frame = pair.panel.frame(panel.OUT, bytes(16), b"\2\x17", pair.panel.sequence, mac)
        self.assertEqual(frame[:24], body)
        reply = pair.panel.parse(pair.door.say(frame))
        self.assertEqual((reply.code, bytes(reply.data)), (panel.NAK, b"\6"))
        self.assertFalse(pair.door.out.relay)

    def test_back_off(self):
        """Three failures within 10 s, and no challenge is taken for 2, 4, 8 ... 60 s."""
        pair = Pair().meet()
        for wait_ms in (2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000):
            for _ in range(3):
                pair.meet()
                self.assertEqual(self.hurt(pair).code, panel.NAK)
                pair.door.go(10)
            pair.panel.again()
            pair.door.go(wait_ms - 110)
            self.assertTrue(pair.door.say(pair.panel.challenge()) is None)
            for code in STATUS:
                self.assertEqual(pair.plain(code).code, ANSWERS[code])
            self.assertEqual(pair.plain(panel.POLL).code, panel.ACK)
            pair.door.go(110)
            pair.meet()
        pair.door.go(600_000, step=1000)  # a quiet time
        for _ in range(3):
            pair.meet()
            self.hurt(pair)
        pair.door.go(2_000)
        pair.meet()

    def test_the_challenge_that_was_not_heard_is_heard_later(self):
        """As libosdp says it, each second: the same frame with the same number."""
        pair = Pair()
        for _ in range(3):
            pair.meet()
            self.hurt(pair)
        pair.panel.again()
        pair.plain(panel.ID, b"\0")
        frame = pair.panel.challenge()
        for _ in range(2):
            self.assertTrue(pair.door.say(frame) is None)
            pair.door.go(1_000)
        self.assertEqual(pair.panel.parse(pair.door.say(frame)).code, panel.CCRYPT)

    def test_failures_far_apart(self):
        pair = Pair()
        for _ in range(10):
            pair.meet()
            self.hurt(pair)
            pair.door.go(10_100)
        for _ in range(2):
            pair.meet()
            self.hurt(pair)
        pair.meet()

    def test_wrong_cryptograms_count(self):
        pair = Pair()
        for _ in range(3):
            pair.panel.again()
            pair.panel.parse(pair.door.say(pair.panel.challenge()))
            self.assertEqual(pair.plain(panel.SCRYPT, bytes(16), b"\3\x13\1").code, panel.NAK)
        pair.panel.again()
        self.assertTrue(pair.door.say(pair.panel.challenge()) is None)

    def test_a_status_query_is_never_refused(self):
        """Plain, in session, with a wrong MAC, after it, in back-off, latched, without a key."""

        def check(pair, code, answer):
            reply = pair.panel.parse(answer)
            self.assertEqual(reply.code, ANSWERS[code])

        for code in STATUS:
            pair = Pair()
            self.assertEqual(pair.plain(code).code, ANSWERS[code])
            pair.ready()
            self.assertEqual(pair.ask(code).code, ANSWERS[code])
            number = pair.panel.next()
            check(pair, code, pair.door.say(pair.panel.frame(code, sequence=number)))
            check(
                pair,
                code,
                pair.door.say(pair.panel.secured(code, sequence=number, wrong_mac=WRONG)),
            )
            check(pair, code, pair.door.say(pair.panel.secured(code)))
            pair.ready()
            number = (pair.panel.next() + 1) % 3 + 1
            check(pair, code, pair.door.say(pair.panel.secured(code, sequence=number)))
            pair.door.go(20_000, step=1000)
            for _ in range(3):
                pair.meet()
                self.hurt(pair)
            self.assertEqual(pair.plain(code).code, ANSWERS[code])
            for door in (ControllerBench(key=None), ControllerBench(latch="tamper", latched=True)):
                pair.door = door
                self.assertEqual(pair.plain(code).code, ANSWERS[code])

    def test_what_was_recorded_moves_nothing(self):
        """All of a session that opened the door, again and again, in and out of other sessions."""
        for restart in (False, True):
            pair = Pair().meet()
            pair.poll(500)
            pair.door.wire = []
            pair.meet()
            pair.poll(1000)
            pair.ask(panel.OUT, panel.pulse(500))
            pair.poll(1500)
            recorded = list(pair.door.wire)
            opened = [frame for frame in recorded if frame[-3:] and frame[6:8] == b"\x17\x68"]
            self.assertEqual(len(opened), 1)
            if restart:
                pair.door = ControllerBench()
                pair.door.seed = 99
            pair.door.on_ms = 0
            for frame in recorded:  # the same session, or none
                pair.door.say(frame)
                pair.door.go(20)
            pair.door.go(60_000, step=100)
            for _ in range(2):  # within another session, before each of its frames
                pair.ready()
                for frame in opened * 4:
                    pair.door.say(frame)
                    if not pair.door.controller.linked(pair.door.now):
                        break
                    frame = pair.panel.secured(panel.POLL)
                    if pair.panel.parse(pair.door.say(frame)).code == panel.NAK:
                        break
                pair.door.go(10_000, step=100)
            for _ in range(3):
                for frame in recorded:
                    pair.door.say(frame)
                    pair.door.go(110, step=110)
            self.assertEqual(pair.door.on_ms, 0)

    def test_a_source_of_random_bytes_that_repeats_itself(self):
        """What was recorded fits nothing, in the same start and in the next one."""
        for restart in (False, True):
            pair = Pair(stuck=True, starts=7).meet()
            pair.door.wire = []
            pair.meet()
            pair.poll(3_000)
            self.assertEqual(pair.ask(panel.OUT, panel.pulse(500)).data[0], 1)
            pair.poll(1_500)
            recorded = list(pair.door.wire)
            if restart:
                pair.door = ControllerBench(stuck=True, starts=8)
            for _ in range(3):
                pair.door.on_ms = 0
                for frame in recorded:
                    pair.door.say(frame)
                    pair.door.go(20)
                pair.door.go(70_000, step=100)
                self.assertEqual(pair.door.on_ms, 0)

    def test_whatever_comes(self):
        """Broken and recorded frames, noise and silence, between honest ones; only those open."""
        pair = Pair().ready()
        door, seed, kept = pair.door, [7], []

        def pick(n):
            seed[0] = (seed[0] * 1664525 + 1013904223) % 2**32
            return (seed[0] >> 8) % n

        for _ in range(200):
            frame = pair.panel.secured(
                (panel.OUT, panel.OUT, panel.POLL, panel.LED, 0x63)[pick(5)],
                (panel.pulse(500), panel.pulse(0, code=2), bytes(14), b"")[pick(4)],
                sequence=pick(4),
            )
            kept.append(frame)
            kept = kept[-30:]
            frame = bytearray(kept[pick(len(kept))])
            kind = pick(5)
            if kind == 0:
                frame[pick(len(frame))] ^= 1 << pick(8)
            elif kind == 1:
                frame = frame[: pick(len(frame))]
            elif kind == 2:
                frame += kept[pick(len(kept))][pick(9) :]
            body = frame[:-6] + bytearray(pick(256) for _ in range(4))  # never the MAC that it had
            if len(frame) > 14:
                frame = pair.panel.crc(bytes(body))
            door.say(bytes(frame))
            door.go(5 + pick(30))
            self.assertEqual(door.on_ms, 0)
            if not pick(9):
                door.go(60_000, step=1000)
                pair.ready()


class InputsTest(unittest.TestCase):
    def test_in_the_order_that_both_ends_know(self):
        for n, bit in enumerate(
            (
                inputs.CONTACT,
                inputs.EXIT_BUTTON,
                inputs.FIRE,
                inputs.HELP_BUTTON,
                inputs.TURN,
                inputs.TURN_OUT,
            )
        ):
            pair = Pair().ready()
            pair.door.levels = bit
            told = pair.poll(200)
            self.assertEqual(
                told, [(panel.ISTATR, bytes(int(m == n) for m in range(inputs.COUNT)))]
            )
            pair.door.levels = 0
            self.assertEqual(pair.poll(200), [(panel.ISTATR, inputs.report(0))])

    def test_each_input_has_its_place_in_the_report(self):
        """As osdp.md has them, and as edge/wire/door_inputs.py reads them."""
        self.assertEqual(inputs.report(inputs.CONTACT)[:8], b"\1\0\0\0\0\0\0\0")
        self.assertEqual(inputs.report(inputs.TURN)[:8], b"\0\0\0\0\1\0\0\0")
        self.assertEqual(inputs.report(inputs.LATCHED)[:8], b"\0\0\0\0\0\0\1\0")
        self.assertEqual(inputs.report(inputs.TAMPER)[:8], b"\0\0\0\0\0\0\0\1")

    def test_tamper_is_told_in_both_ways(self):
        pair = Pair().ready()
        pair.door.levels = inputs.TAMPER
        self.assertEqual(
            pair.poll(300), [(panel.ISTATR, inputs.report(inputs.TAMPER)), (panel.LSTATR, b"\1\0")]
        )
        self.assertEqual(bytes(pair.ask(panel.LSTAT).data), b"\1\0")
        pair.door.levels = 0
        self.assertEqual(
            pair.poll(300), [(panel.ISTATR, inputs.report(0)), (panel.LSTATR, b"\0\0")]
        )

    def test_rearm_is_told_to_nobody(self):
        pair = Pair().ready()
        pair.door.levels = inputs.REARM
        self.assertEqual(pair.poll(300), [])

    def test_bounce_is_not_told(self):
        pair = Pair().ready()
        for _ in range(20):
            pair.door.levels ^= inputs.TURN
            pair.door.go(15)
        pair.door.levels = 0
        self.assertEqual(pair.poll(300), [])

    def test_an_edge_between_two_polls_is_not_lost(self):
        pair = Pair().ready()
        for _ in range(3):
            for level in (inputs.TURN, 0, inputs.TURN | inputs.CONTACT, 0):
                pair.door.levels = level
                pair.door.go(25)
        told = [bytes(data) for _, data in pair.poll(1000)]
        self.assertEqual(
            told,
            [inputs.report(bits) for bits in (inputs.TURN, 0, inputs.TURN | inputs.CONTACT, 0)] * 3,
        )

    def test_a_short_edge_to_a_clock_that_turns_over(self):
        pair = Pair(start=PERIOD - 3_120).ready()
        pair.door.levels = inputs.TURN
        pair.door.go(PERIOD - pair.door.at + 10 if pair.door.at < PERIOD else 25)
        pair.door.go(25)
        pair.door.levels = 0
        self.assertEqual(len(pair.poll(300)), 2)

    def test_a_change_whose_telling_was_lost(self):
        """The answer did not come over, and the session ended: the next one hears of it."""
        pair = Pair().ready()
        pair.door.levels = inputs.TURN
        pair.door.go(30)
        pair.door.levels = 0
        pair.door.go(30)
        pair.door.say(pair.panel.secured(panel.POLL))  # the answer is lost
        pair.door.go(9_000)
        pair.meet()
        self.assertEqual(
            [bytes(data) for code, data in pair.poll(300) if code == panel.ISTATR],
            [inputs.report(inputs.TURN), inputs.report(0)],
        )

    def test_a_new_session_hears_how_things_are(self):
        pair = Pair(levels=inputs.CONTACT).meet()
        told = pair.poll(300)
        self.assertEqual(
            told,
            [
                (panel.ISTATR, inputs.report(inputs.CONTACT)),
                (panel.LSTATR, b"\0\0"),
                (panel.OSTATR, b"\0"),
            ],
        )
        pair.meet()
        self.assertEqual(pair.poll(300), told)

    def test_a_query_takes_nothing_from_what_is_told_unasked(self):
        pair = Pair().ready()
        pair.door.levels = inputs.HELP_BUTTON
        pair.door.go(30)
        frame = pair.panel.frame(panel.ISTAT, sequence=pair.panel.next())
        self.assertEqual(pair.panel.parse(pair.door.say(frame)).code, panel.ISTATR)
        self.assertEqual(len(pair.poll(300)), 1)

    def test_a_query_does_not_run_ahead_of_what_is_told_unasked(self):
        """Else the panel would hear the same edge twice: from the query, and again from a poll."""
        for end in (inputs.TURN, 0):
            pair = Pair().ready()
            pair.door.go(2_000)  # the link is lost
            pair.door.levels = inputs.CONTACT
            pair.door.go(30)
            pair.door.levels = inputs.TURN
            pair.door.go(30)
            pair.door.levels = end
            pair.door.go(30)
            pair.meet()
            told = [bytes(pair.ask(panel.ISTAT).data) for _ in range(2)]
            told += [data for code, data in pair.poll(500) if code == panel.ISTATR]
            turns = [report[4] for report in told]
            rises = sum(b > a for a, b in zip([0] + turns, turns))  # noqa: B905, RUF005 -- MicroPython
            self.assertEqual(rises, 1)
            for _ in range(2):
                self.assertEqual(pair.ask(panel.ISTAT).data[4], end // inputs.TURN)

    def test_what_is_kept_is_bounded(self):
        pair = Pair().ready()
        for _ in range(5 * inputs.CHANGES_MAX):
            pair.door.levels ^= inputs.TURN
            pair.door.go(25)
        pair.door.levels = inputs.TURN | inputs.CONTACT
        pair.door.go(25)
        pair.meet()
        told = [data for code, data in pair.poll(10_000) if code == panel.ISTATR]
        self.assertEqual(len(told), inputs.CHANGES_MAX)
        self.assertEqual(told[-1], inputs.report(inputs.TURN | inputs.CONTACT))


class LatchTest(unittest.TestCase):
    def opens(self, pair):
        pair.door.on_ms = 0
        told = pair.ask(panel.OUT, panel.pulse(300)).data[0]
        pair.poll(1000)
        self.assertEqual(told, int(pair.door.on_ms > 0))
        return pair.door.on_ms > 0

    def test_tamper(self):
        for latch, latches in (("none", False), ("tamper", True), ("link", False), ("both", True)):
            pair = Pair(latch=latch).ready()
            pair.ask(panel.OUT, panel.pulse(5000))
            pair.poll(200)
            pair.door.levels = inputs.TAMPER
            pair.poll(100)
            self.assertEqual(pair.door.controller.latched, latches)
            self.assertEqual(pair.door.out.relay, not latches)
            pair.door.levels = 0
            pair.poll(6000)
            self.assertEqual(pair.door.controller.latched, latches)
            self.assertEqual(self.opens(pair), not latches)
            told = pair.ask(panel.ISTAT).data
            self.assertEqual(bytes(told), inputs.report(inputs.LATCHED if latches else 0))

    def test_loss_of_the_link(self):
        for latch, latches in (("none", False), ("tamper", False), ("link", True), ("both", True)):
            pair = Pair(latch=latch).ready()
            pair.door.go(115_000, step=1000)
            self.assertFalse(pair.door.controller.latched)
            pair.door.go(10_000, step=1000)
            self.assertEqual(pair.door.controller.latched, latches)
            pair.ready()
            self.assertEqual(pair.door.controller.latched, latches)
            self.assertEqual(self.opens(pair), not latches)

    def test_no_session_yet_is_no_loss(self):
        pair = Pair(latch="link")
        pair.door.go(1_000_000, step=1000)
        self.assertFalse(pair.door.controller.latched)

    def test_rearming(self):
        pair = Pair(latch="tamper", latched=True).ready()
        self.assertFalse(self.opens(pair))
        for pressed_ms, latched in ((1_900, True), (100, True), (2_100, False)):
            pair.door.levels = inputs.REARM
            pair.poll(pressed_ms)
            pair.door.levels = 0
            pair.poll(200)
            self.assertEqual(pair.door.controller.latched, latched)
        self.assertTrue(self.opens(pair))

    def test_no_rearming_while_the_lid_is_open(self):
        pair = Pair(latch="both").ready()
        pair.door.levels = inputs.TAMPER | inputs.REARM
        pair.poll(10_000)
        self.assertTrue(pair.door.controller.latched)

    def test_a_button_that_is_stuck_rearms_nothing(self):
        """Wedged in before it latched, or at power-on: only a press that begins later counts."""
        latched = Pair(latch="tamper", latched=True, levels=inputs.REARM).ready()
        wedged = Pair(latch="link").ready()
        wedged.door.levels = inputs.REARM
        wedged.door.go(130_000, step=100)
        wedged.ready()
        for pair in (latched, wedged):
            pair.poll(5_000)
            self.assertTrue(pair.door.controller.latched)
            pair.door.levels = 0
            pair.poll(100)
            pair.door.levels = inputs.REARM
            pair.poll(2_200)
            self.assertFalse(pair.door.controller.latched)

    def test_rearming_without_a_link(self):
        pair = Pair(latch="link").ready()
        pair.door.go(130_000, step=1000)
        pair.door.levels = inputs.REARM
        pair.door.go(2_200)
        self.assertFalse(pair.door.controller.latched)
        pair.door.levels = 0
        pair.door.go(300_000, step=1000)
        self.assertFalse(pair.door.controller.latched)  # until a session is lost again
        pair.ready()
        pair.door.go(130_000, step=1000)
        self.assertTrue(pair.door.controller.latched)

    def test_it_is_told(self):
        pair = Pair(latch="tamper").ready()
        pair.door.levels = inputs.TAMPER
        pair.door.go(25)
        pair.door.levels = 0
        told = [data for code, data in pair.poll(500) if code == panel.ISTATR]
        self.assertEqual(told[-1], inputs.report(inputs.LATCHED))

    def test_another_word(self):
        with self.assertRaises(ValueError):
            ControllerBench(latch="always")


class LightsTest(unittest.TestCase):
    def shown(self, pair, ms):
        """What the lights were, 50 ms apart: a letter each."""
        seen = ""
        for _ in range(ms // 50):
            pair.poll(50)
            out = pair.door.out
            seen += "rgb"[0:0] + (
                "a" if out.red and out.green else "r" if out.red else "g" if out.green else "."
            )
        return seen

    def test_red_flashes_without_a_link(self):
        for key in (KEY, None):
            door = ControllerBench(key=key)
            seen = ""
            for _ in range(130):
                seen += "r" if door.out.red else "."
                self.assertFalse(door.out.green or door.out.buzzer or door.out.heartbeat)
                door.go(50)
            self.assertEqual(seen[:120], ("rrr" + "." * 57) * 2)

    def test_a_colour_for_its_time(self):
        for number, letter in ((1, "r"), (2, "g"), (3, "a"), (0, "."), (4, ".")):
            pair = Pair().ready()
            self.assertEqual(pair.ask(panel.LED, panel.colour(number, 500)).code, panel.ACK)
            self.assertEqual(self.shown(pair, 800), letter * 9 + "." * 7)

    def test_it_blinks(self):
        pair = Pair().ready()
        pair.ask(panel.LED, panel.colour(2, 800, 200, 200))
        self.assertEqual(self.shown(pair, 1000), "ggg....gggg........."[:20])

    def test_the_next_one_takes_its_place_and_one_that_cancels_ends_it(self):
        pair = Pair().ready()
        pair.ask(panel.LED, panel.colour(1, 5000))
        self.shown(pair, 200)
        pair.ask(panel.LED, panel.colour(2, 500))
        self.assertEqual(self.shown(pair, 600), "g" * 9 + "...")
        pair.ask(panel.LED, panel.colour(1, 5000))
        pair.ask(panel.LED, bytes((0, 0, 1)) + bytes(11))
        self.assertEqual(self.shown(pair, 200), "....")

    def test_for_ever_is_left_alone(self):
        pair = Pair().ready()
        for data in (
            panel.colour(2, 0),
            bytes((0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2, 2)),  # permanent
            bytes((1, 0)) + panel.colour(2, 500)[2:],  # another reader, another light
            bytes((0, 1)) + panel.colour(2, 500)[2:],
        ):
            self.assertEqual(pair.ask(panel.LED, data).code, panel.ACK)
            self.assertEqual(self.shown(pair, 200), "....")
        for data in (bytes((0, 2, 1, 0, 0)), bytes((0, 2, 0, 1, 5)), bytes((1, 2, 1, 1, 1))):
            self.assertEqual(pair.ask(panel.BUZ, data).code, panel.ACK)
            pair.poll(50)
            self.assertFalse(pair.door.out.buzzer)

    def test_the_buzzer(self):
        pair = Pair().ready()
        pair.ask(panel.BUZ, bytes((0, 2, 1, 2, 2)))
        heard = ""
        for _ in range(16):
            pair.poll(50)
            heard += "b" if pair.door.out.buzzer else "."
        self.assertEqual(heard, "b....bb.........")
        pair.ask(panel.BUZ, bytes((0, 2, 50, 0, 1)))
        pair.poll(100)
        self.assertTrue(pair.door.out.buzzer)
        pair.ask(panel.BUZ, bytes((0, 1, 0, 0, 0)))
        pair.poll(50)
        self.assertFalse(pair.door.out.buzzer)

    def test_all_of_it_ends_with_the_link(self):
        pair = Pair().ready()
        pair.ask(panel.LED, panel.colour(2, 60_000))
        pair.ask(panel.BUZ, bytes((0, 2, 200, 0, 1)))
        pair.poll(100)
        self.assertTrue(pair.door.out.green and pair.door.out.buzzer)
        pair.door.go(1_500)
        self.assertFalse(pair.door.out.green or pair.door.out.buzzer)
        pair.meet()
        self.assertEqual(self.shown(pair, 200), "....")

    def test_the_boards_own_light_beats_with_the_link(self):
        pair = Pair().ready()
        beats = 0
        for _ in range(100):
            pair.poll(50)
            beats += pair.door.out.heartbeat
        self.assertTrue(40 < beats < 60, beats)
        pair.door.go(2_000)
        self.assertFalse(pair.door.out.heartbeat)


if __name__ == "__main__":
    unittest.main()
