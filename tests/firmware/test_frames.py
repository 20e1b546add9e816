"""OSDP's frames in a stream of anything. Runs in MicroPython and in CPython."""

import unittest

import frames
from guard import ticks_diff
from panel import ReferencePanel

PERIOD = 2**30
POLL = bytes.fromhex("5300080004608edf")  # plain, address 0, sequence 0


def hexed(text):
    return bytes.fromhex(text.replace(" ", ""))


class NoisyLine:
    def __init__(self, start=0):
        self.at = start
        self.stream = frames.Stream(start, ticks_diff)

    def say(self, data, after_ms=0):
        self.at = (self.at + after_ms) % PERIOD
        return [frame.raw for frame in self.stream.frames(data, self.at)]


def plain(code=frames.POLL, data=b"", **more):
    return ReferencePanel(bytes(16), None).frame(code, data, **more)


class CrcTest(unittest.TestCase):
    def test_the_catalogues_check_value(self):
        """CRC-16/SPI-FUJITSU in the CRC catalogue: the same polynomial and start."""
        self.assertEqual(frames.crc16(b"123456789"), 0xE5CC)

    def test_against_one_that_works_by_bits(self):
        for length in (0, 1, 2, 7, 128):
            data = bytes((n * 37 + length) & 255 for n in range(length))
            crc = 0x1D0F
            for byte in data:
                crc ^= byte << 8
                for _ in range(8):
                    crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
            self.assertEqual(frames.crc16(data), crc)


class StreamTest(unittest.TestCase):
    def test_libosdps_own_frames(self):
        """As libosdp 3.2.9 sent them."""
        for text, code, block, data in (
            ("53000900046100c066", 0x61, 0, "00"),
            ("530013000e03110176d764c8cce93255c43be7", 0x76, 0x11, "d764c8cce93255c4"),
            ("53000e000d0215606ca73ed9ed5b", 0x60, 0x15, ""),
            (
                "53001e000d0217681ef56c4bf1aab4b9836e23d9b84fa0bde73f40ddcad3",
                0x68,
                0x17,
                "1ef56c4bf1aab4b9836e23d9b84fa0bd",
            ),
        ):
            stream = frames.Stream(0, ticks_diff)
            frame = list(stream.frames(hexed("ff" + text), 0))[0]  # noqa: RUF015
            self.assertEqual((frame.id, frame.block, frame.data), (code, block, hexed(data)))
            self.assertEqual((frame.address, frame.sequence), (0, hexed(text)[4] & 3))
        self.assertEqual(frame.mac.hex(), "e73f40dd")
        self.assertEqual(frame.signed.hex(), text[:-12])

    def test_byte_by_byte_and_all_at_once(self):
        sent = [plain(), plain(frames.ID, b"\0"), plain(frames.CAP, b"\0")]
        self.assertEqual(NoisyLine().say(b"".join(sent)), sent)
        line, got = NoisyLine(), []
        for frame in sent:
            for byte in b"\xff" + frame:
                got += line.say(bytes((byte,)), 1)
        self.assertEqual(got, sent)

    def test_noise_before_it(self):
        for noise in ("00", "ff", "ffff", "530000000000", "53ffffffff", "54" * 300):
            self.assertEqual(NoisyLine().say(hexed(noise) + plain()), [plain()], noise)
        for noise in ("5354", "53ff53", "530008", "53" * 9):  # the head of a frame, perhaps
            line = NoisyLine()
            line.say(hexed(noise) + plain())
            self.assertEqual(line.say(plain(), frames.GAP_MS + 1), [plain()], noise)

    def test_a_frame_within_a_broken_one(self):
        line = NoisyLine()
        self.assertEqual(line.say(hexed("53001200 04 60 aabb") + plain() + b"\0\0"), [plain()])

    def test_a_wrong_crc_is_silence(self):
        whole = plain(frames.ID, b"\0")
        for n in range(len(whole) * 8):
            hurt = bytearray(whole)
            hurt[n // 8] ^= 1 << n % 8
            line = NoisyLine()
            self.assertEqual(line.say(bytes(hurt)), [])
            self.assertEqual(line.say(whole, 101), [whole])  # and the next one is heard

    def test_what_stays_away_is_given_up(self):
        line = NoisyLine()
        self.assertEqual(line.say(plain()[:6]), [])
        self.assertEqual(line.say(plain(), frames.GAP_MS + 1), [plain()])
        self.assertEqual(line.say(plain()[:6]), [])
        self.assertEqual(line.say(plain()[6:], frames.GAP_MS), [plain()])
        line = NoisyLine(PERIOD - 50)
        line.say(plain()[:6])
        self.assertEqual(line.say(plain()[6:], 90), [plain()])

    def test_lengths(self):
        longest = plain(frames.LED, bytes(frames.LEN_MAX - 8))
        self.assertEqual(len(longest), frames.LEN_MAX)
        self.assertEqual(NoisyLine().say(longest), [longest])
        for text in ("5300070004 60 0000", "5300000004", "53000000045300000004", "5300810004"):
            line = NoisyLine()
            self.assertEqual(line.say(hexed(text)), [])
            self.assertEqual(line.say(plain(), 200), [plain()])
        self.assertEqual(NoisyLine().say(plain(frames.LED, bytes(frames.LEN_MAX - 7))), [])

    def test_blocks_that_do_not_fit(self):
        for block in (b"\0\x15", b"\1\x15", b"\x09\x15", b"\xff\x11", b"\xff\x15"):
            self.assertEqual(NoisyLine().say(plain(block=block)), [])
        self.assertEqual(NoisyLine().say(plain(block=b"\2\x15")), [])  # no room for a MAC
        self.assertEqual(len(NoisyLine().say(plain(block=b"\2\x15", mac=bytes(4)))), 1)
        self.assertEqual(len(NoisyLine().say(plain(block=b"\3\x11\1"))), 1)

    def test_a_check_sum_and_other_devices_answers_are_silence(self):
        body = hexed("5300070000 60")
        self.assertEqual(NoisyLine().say(body + bytes((-sum(body) & 255,))), [])
        body = hexed("5300080000 60")  # a CRC where a check sum is said to be
        self.assertEqual(NoisyLine().say(body + frames.crc16(body).to_bytes(2, "little")), [])
        self.assertEqual(NoisyLine().say(plain(address=0x80)), [])

    def test_memory_and_time_are_bounded(self):
        """Whatever comes: little is held, and little is computed for it."""
        counted = [0]
        crc16 = frames.crc16

        def counting(data):
            counted[0] += len(data)
            return crc16(data)

        frames.crc16 = counting
        try:
            for noise in (b"\x53", hexed("530080000c"), hexed("5300800004"), hexed("5300080004")):
                line, piece = NoisyLine(), noise * (256 // len(noise))
                for _ in range(20):
                    counted[0] = 0
                    line.say(piece, 20)
                    self.assertTrue(counted[0] <= 3 * frames.LEN_MAX + len(piece), noise)
                    self.assertTrue(len(line.stream._buffer) <= 2 * frames.LEN_MAX)
        finally:
            frames.crc16 = crc16


class ReplyTest(unittest.TestCase):
    def test_a_reply(self):
        made = frames.reply(5, 2, frames.NAK, b"\6")
        self.assertEqual(made[:8], hexed("ff53850900064106"))
        self.assertEqual(frames.crc16(made[1:-2]), made[-2] | made[-1] << 8)
        self.assertEqual(
            frames.reply(0, 0, frames.ACK)[-2:],
            frames.crc16(hexed("5380080004 40")).to_bytes(2, "little"),
        )

    def test_a_signed_reply(self):
        signed = []

        def sign(body):
            signed.append(body)
            return b"SIGN"

        made = frames.reply(0, 1, frames.ACK, b"", bytes((2, frames.SCS_16)), sign)
        self.assertEqual(made[:-2], hexed("ff53800e000d021640") + b"SIGN")
        self.assertEqual(signed, [hexed("53800e000d021640")])


if __name__ == "__main__":
    unittest.main()
