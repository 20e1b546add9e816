"""Pairing and what is stored, without a board. Runs in MicroPython and in CPython."""

import os
import unittest

import store
from pairing import LINE_LEN_MAX, Pairing
from store import Settings, Store, TornSettings

try:
    from tempfile import mkdtemp

    FOLDER = mkdtemp() + "/"
except ImportError:  # MicroPython
    FOLDER = "/tmp/menshen-pairing/"
    if "menshen-pairing" not in os.listdir("/tmp"):
        os.mkdir(FOLDER[:-1])

KEY = "000102030405060708090a0b0c0d0e0f"
PAIR = b"pair " + KEY.encode() + b" 5 115200 both\n"


def encrypt(key, block):
    """Not AES: what matters here is that it depends on the key, and is asked for a zero block."""
    assert block == bytes(16)
    return bytes(each ^ 0xFF for each in key)


class BrokenStore(Store):
    """A flash that does not keep what is written, or cannot be written at all."""

    def __init__(self, folder, error=None):
        super().__init__(folder)
        self.error = error

    def _write(self, name, text):
        if self.error is not None:
            raise OSError(self.error)
        super()._write(name, text.replace("5", "6"))


class PairingCase(unittest.TestCase):
    def setUp(self):
        for name in os.listdir(FOLDER):
            os.remove(FOLDER + name)
        self.store = Store(FOLDER)
        self.pairing = Pairing("e6614", "0.1.0", self.store, encrypt)

    def say(self, line):
        answer = self.pairing.receive(line)
        self.assertEqual(answer[-1:], b"\n")
        return answer[:-1].decode()

    def write(self, name, text):
        with open(FOLDER + name, "wb") as file:
            file.write(text)

    def read(self, name):
        with open(FOLDER + name, "rb") as file:
            return file.read()


class PairingTest(PairingCase):
    def test_who(self):
        self.assertEqual(self.say(b"menshen?\n"), "menshen-controller 1 e6614 0.1.0 none")

    def test_a_key_is_stored_and_named(self):
        self.assertEqual(self.say(PAIR), "paired fffefd")
        self.assertEqual(self.say(b"menshen?\r\n"), "menshen-controller 1 e6614 0.1.0 fffefd")
        settings = Store(FOLDER).settings()
        self.assertEqual(settings.key, bytes(range(16)))
        self.assertEqual((settings.address, settings.baud, settings.latch), (5, 115200, "both"))
        self.assertEqual(os.listdir(FOLDER), ["controller.json"])

    def test_in_pieces_and_several_at_once(self):
        answer = b""
        for byte in b"menshen?\nfault?\n":
            answer += self.pairing.receive(bytes([byte]))
        self.assertEqual(answer, self.pairing.receive(b"menshen?\nfault?\n"))
        self.assertEqual(answer, b"menshen-controller 1 e6614 0.1.0 none\nfault none\n")

    def test_another_key_takes_the_place_of_the_first(self):
        self.say(PAIR)
        self.assertEqual(self.say(PAIR.replace(b"0001", b"aa01")), "paired 55fefd")

    def test_what_is_refused_leaves_the_first_one(self):
        self.say(PAIR)
        before = self.read("controller.json")
        key = KEY.encode()
        for line, why in (
            (b"\n", "unknown command"),
            (b"hello\n", "unknown command"),
            (b"menshen? now\n", "unknown command"),
            (b"PAIR " + key + b" 5 115200 both\n", "unknown command"),
            (b"pair\n", "needs"),
            (b"pair " + key + b" 5 115200\n", "needs"),
            (b"pair " + key + b" 5 115200 both more\n", "needs"),
            (b"pair " + key[:-1] + b" 5 115200 both\n", "hex digits"),
            (b"pair " + key[:-1] + b"g 5 115200 both\n", "hex digits"),
            (b"pair " + key + b" -1 115200 both\n", "must be numbers"),
            (b"pair " + key + b" 127 115200 both\n", "0 to 126"),
            (b"pair " + key + b" 5 115201 both\n", "baud"),
            (b"pair " + key + b" 5 1152000000000 both\n", "must be numbers"),
            (b"pair " + key + b" 5 115200 always\n", "latch"),
            (b"pair 303132333435363738393a3b3c3d3e3f 5 115200 both\n", "default key"),
            (b"pair " + b"5a" * 16 + b" 5 115200 both\n", "are equal"),
            (b"pair " + b"00" * 16 + b" 5 115200 both\n", "are equal"),
            (b"pair " + key + b" 5 115200 both\x00\n", "ASCII"),
            (b"pair " + key + b" 5 115200 b\xc3\xb6th\n", "ASCII"),
            (b"\x03\n", "ASCII"),
            (b"x" * (LINE_LEN_MAX + 1) + b"\n", "too long"),
            (PAIR[:-1] + b" " * LINE_LEN_MAX + b"\n", "too long"),
        ):
            said = self.say(line)
            self.assertEqual(said[:8], "refused ", line)
            self.assertTrue(why in said, said)
            self.assertEqual(self.read("controller.json"), before, line)
        self.assertTrue(self.say(b"menshen?\n").endswith(" fffefd"))

    def test_after_a_line_that_is_too_long_the_next_counts(self):
        answer = self.pairing.receive(b"y" * 100_000 + b"\nmenshen?\n")
        self.assertEqual(answer.count(b"\n"), 2)
        self.assertTrue(answer.endswith(b"0.1.0 none\n"))

    def test_a_flash_that_keeps_something_else(self):
        self.pairing = Pairing("e6614", "0.1.0", BrokenStore(FOLDER), encrypt)
        self.assertTrue(self.say(PAIR).startswith("refused the flash does not store the settings"))

    def test_a_flash_that_cannot_be_written(self):
        self.pairing = Pairing("e6614", "0.1.0", BrokenStore(FOLDER, 28), encrypt)
        self.assertEqual(self.say(PAIR), "refused the flash cannot be written (error 28)")
        self.assertEqual(os.listdir(FOLDER), [])

    def test_a_broken_controller_takes_no_key(self):
        self.pairing = Pairing("e6614", "0.1.0", self.store, encrypt, "AES")
        self.assertEqual(self.say(PAIR), "refused this controller failed its self-test: AES")
        self.assertEqual(os.listdir(FOLDER), [])

    def test_a_fault_is_told_until_it_is_paired_anew(self):
        self.store.save_fault("OSError: it\nwas\thot")
        self.assertEqual(self.say(b"fault?\n"), "fault OSError: it was hot")
        self.say(PAIR)
        self.assertEqual(self.say(b"fault?\n"), "fault none")


class StoreTest(PairingCase):
    def test_nothing_stored(self):
        self.assertTrue(self.store.settings() is None)
        self.assertFalse(self.store.is_latched())
        self.assertEqual(self.store.fault(), "")

    def test_every_cut_and_every_changed_byte_is_told(self):
        self.say(PAIR)
        whole = self.read("controller.json")
        for length in range(len(whole)):
            self.write("controller.json", whole[:length])
            self.assertRaises(TornSettings, self.store.settings)
        kept = self.store
        for at in range(len(whole)):
            for bit in (1, 4, 16, 128):
                hurt = bytearray(whole)
                hurt[at] ^= bit
                self.write("controller.json", hurt)
                try:
                    settings = kept.settings()
                except TornSettings:
                    continue
                # A space may become another space, a hex digit its capital: the same settings.
                self.assertEqual(settings.key.hex(), KEY)
                self.assertEqual((settings.address, settings.baud), (5, 115200))
                self.assertEqual(settings.latch, "both")

    def test_other_files_of_the_form(self):
        for text in (b"[]", b"{}", b"null", b"7", b'"x"', b'{"key": 7}', b"\xff\xfe", b"{" * 500):
            self.write("controller.json", text)
            self.assertRaises(TornSettings, self.store.settings)
            self.assertTrue(self.say(b"menshen?\n").endswith(" none"))

    def test_a_write_that_was_cut_leaves_the_old_one(self):
        self.say(PAIR)
        self.write("controller.json.new", b'{"key": "00')
        self.assertEqual(self.store.settings().address, 5)
        self.assertEqual(self.say(PAIR.replace(b" 5 ", b" 6 ")), "paired fffefd")
        self.assertEqual(self.store.settings().address, 6)
        self.assertEqual(os.listdir(FOLDER), ["controller.json"])

    def test_the_latch(self):
        self.store.save_latch(True)
        self.assertTrue(Store(FOLDER).is_latched())
        self.store.save_latch(True)
        self.store.save_latch(False)
        self.assertFalse(Store(FOLDER).is_latched())
        self.store.save_latch(False)

    def test_a_latch_that_cannot_be_read_is_a_latch(self):
        self.write("latched", b"\xff")
        self.assertTrue(self.store.is_latched())
        self.write("latched", b"")
        self.assertTrue(self.store.is_latched())

    def test_starts_are_counted(self):
        self.assertEqual([Store(FOLDER).count_start() for _ in range(3)], [1, 2, 3])
        self.write("starts", str(2**24 - 1).encode())
        self.assertEqual([Store(FOLDER).count_start() for _ in range(2)], [0, 1])

    def test_a_count_that_is_damaged_begins_anew(self):
        for hurt in (b"", b"\xff", b"x7", b"-3", b"9" * 30):
            self.write("starts", hurt)
            first = self.store.count_start()
            self.assertTrue(0 <= first < 2**24)
            self.assertEqual(self.store.count_start(), first + 1)

    def test_a_count_that_the_flash_does_not_give_begins_anew(self):
        class Unread(Store):
            def _read(self, name):
                if name == "starts":
                    raise OSError(5)
                return super()._read(name)

        self.store.count_start()
        self.assertEqual(Unread(FOLDER).count_start(), 1)

    def test_a_start_that_cannot_be_counted_is_told(self):
        self.assertRaises(OSError, BrokenStore(FOLDER, 28).count_start)

    def test_the_same_fault_is_written_once(self):
        written = []

        class Counting(Store):
            def _write(self, name, text):
                written.append(text)
                super()._write(name, text)

        counting = Counting(FOLDER)
        for text in ("hot", "hot", "cold " * 100, "cold " * 100, "", ""):
            counting.save_fault(text)
        self.assertEqual(written, ["hot", ("cold " * 100)[: store.FAULT_CHARACTERS_MAX]])
        self.assertEqual(counting.fault(), "")

    def test_settings_that_nobody_has(self):
        for key, address, baud, latch in (
            (b"x", 0, 9600, "none"),
            (bytes(16), 0, 9600, "none"),
            (store.DEFAULT_KEY, 0, 9600, "none"),
            (bytes(range(16)), 127, 9600, "none"),
            (bytes(range(16)), -1, 9600, "none"),
            (bytes(range(16)), 0, 9601, "none"),
            (bytes(range(16)), 0, 9600, "all"),
        ):
            self.assertRaises(ValueError, Settings, key, address, baud, latch)


if __name__ == "__main__":
    unittest.main()
