"""The secure channel. Runs in MicroPython and in CPython."""

import unittest

from cryptolib import aes
from secure import DEFAULT_KEY, Session, equal, is_usable_key, unique_challenge

# One exchange as libosdp 3.2.9's control panel had it: what the standard does not print.
KEY = bytes.fromhex("7b1d5f0c93a24e68b7d0416f2c8e95aa")
RND_A = bytes.fromhex("d764c8cce93255c4")
RND_B = bytes.fromhex("c98db750bf83d544")
CCRYPT = bytes.fromhex("2461d3601e0c69b506a34ed5e33abd45")
SCRYPT = bytes.fromhex("9747910b54764e9ba609668e99ccb017")
RMAC_I = bytes.fromhex("9bd5a55e7c4faaa4b3e865185d53efce")
EXCHANGE = (  # command and answer, with what is inside
    ("53000e000d0215606ca73ed9ed5b", b"",
     "53801e000d02184935db5094f24b06e934758948dfe2a7979ca3239b7fff", bytes(8)),
    ("53000e000e0215607fd36434dcda", b"",
     "53801e000e0218487fe6216da1932fe47d35f7d006fb4dd478b847ebdb0e", bytes(2)),
    ("53000e000f0215600fffc2425485", b"",
     "53801e000f02184a44331e49a599ed46b6eee50b04058a1806e081c80a17", bytes(1)),
    ("53000e000d0215601a33509d9dba", b"", "53800e000d021640f11aafb9d810", b""),
    ("53000e000e021560adfa9977da9a", b"", "53800e000e0216405be7275faaf4", b""),
    ("53000e000f021560fd869f983ca3", b"", "53800e000f0216401a304fc3e38b", b""),
    ("53000e000d021560c9d99f139e98", b"", "53800e000d021640db7949795eee", b""),
    ("53000e000e0215609226395a999a", b"", "53800e000e02164006421e59b031", b""),
    ("53000e000f02156009e72d127612", b"", "53800e000f0216402aabfa102435", b""),
    ("53001e000d0217681ef56c4bf1aab4b9836e23d9b84fa0bde73f40ddcad3", b"\0\5\3\0",
     "53801e000d02184ae2fd649f36ef31a1f0383bfa82537b2073c6007964dc", b"\1"),
    ("53000e000e021560249eace121ea", b"", "53800e000e021640f02b11079b27", b""),
)  # fmt: skip


class AesTest(unittest.TestCase):
    def test_fips_197(self):
        """FIPS 197, Appendix C.1."""
        key = bytes(range(16))
        plain = bytes.fromhex("00112233445566778899aabbccddeeff")
        code = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")
        self.assertEqual(aes(key, 1).encrypt(plain), code)
        self.assertEqual(aes(key, 1).decrypt(code), plain)

    def test_sp_800_38a(self):
        """NIST SP 800-38A, F.1.1: all four blocks."""
        key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
        plain = bytes.fromhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
            "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
        )
        code = bytes.fromhex(
            "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
            "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"
        )
        self.assertEqual(aes(key, 1).encrypt(plain), code)
        self.assertEqual(aes(key, 1).decrypt(code), plain)


class FreshTest(unittest.TestCase):
    def test_each_part_makes_another(self):
        said = {
            unique_challenge(KEY, 1, 1, RND_A),
            unique_challenge(KEY, 2, 1, RND_A),
            unique_challenge(KEY, 1, 2, RND_A),
        }
        said |= {unique_challenge(KEY, 1, 1, RND_B), unique_challenge(DEFAULT_KEY, 1, 1, RND_A)}
        self.assertEqual({len(each) for each in said}, {8})
        self.assertEqual(len(said), 5)

    def test_counts_that_turn_over(self):
        self.assertEqual(
            unique_challenge(KEY, 2**24 + 1, 2**30 + 2, RND_A), unique_challenge(KEY, 1, 2, RND_A)
        )
        last = unique_challenge(KEY, 0, 2**30 - 1, RND_A)
        self.assertFalse(last == unique_challenge(KEY, 0, 2**24 - 1, RND_A))

    def test_it_tells_no_key_of_a_session(self):
        """Whatever is counted, and whatever the panel says: other blocks go into the cipher."""
        scbk = aes(KEY, 1)
        for kind in (b"\x01\x82", b"\x01\x01", b"\x01\x02"):
            starts = int.from_bytes(kind[1:] + RND_A[:2], "big")
            challenges = int.from_bytes(RND_A[2:6], "big") & 0x3FFFFFFF
            rnd_a = RND_A[:2] + challenges.to_bytes(4, "big")
            session_key = scbk.encrypt(kind + rnd_a + bytes(8))
            self.assertFalse(unique_challenge(KEY, starts, challenges, bytes(8)) == session_key[:8])


class KeyTest(unittest.TestCase):
    def test_what_may_be_a_pairs_key(self):
        self.assertTrue(is_usable_key(KEY))
        self.assertTrue(is_usable_key(bytes(15) + b"\1"))
        self.assertEqual(DEFAULT_KEY, bytes(range(0x30, 0x40)))
        for key in (None, b"", DEFAULT_KEY, bytes(16), b"\xff" * 16, KEY[:15], KEY + b"\0"):
            self.assertFalse(is_usable_key(key), key)

    def test_equal(self):
        self.assertTrue(equal(b"", b""))
        self.assertTrue(equal(b"abcd", bytearray(b"abcd")))
        for other in (b"abce", b"bbcd", b"abc", b"abcde", b""):
            self.assertFalse(equal(b"abcd", other))


class SessionTest(unittest.TestCase):
    def session(self):
        session = Session(KEY, RND_A, RND_B)
        session.check_proof(SCRYPT)
        return session

    def test_the_handshake(self):
        session = Session(KEY, RND_A, RND_B)
        self.assertEqual(session.cryptogram, CCRYPT)
        self.assertEqual(session.check_proof(SCRYPT), RMAC_I)

    def test_a_wrong_cryptogram(self):
        for n in range(128):
            hurt = bytearray(SCRYPT)
            hurt[n // 8] ^= 1 << n % 8
            self.assertTrue(Session(KEY, RND_A, RND_B).check_proof(bytes(hurt)) is None)
        self.assertTrue(Session(KEY, RND_A, RND_B).check_proof(CCRYPT) is None)
        self.assertTrue(Session(KEY, RND_A, bytes(8)).check_proof(SCRYPT) is None)
        self.assertTrue(Session(bytes(16), RND_A, RND_B).check_proof(SCRYPT) is None)
        self.assertTrue(Session(KEY, RND_A, RND_B).check_proof(b"") is None)

    def test_libosdps_exchange(self):
        """MACs chained over the whole of it, both ways, and the data inside."""
        session = self.session()
        for command, inside, answer, answered in EXCHANGE:
            command, answer = bytes.fromhex(command), bytes.fromhex(answer)
            self.assertTrue(session.verify(command[:-6], command[-6:-2]))
            if inside:
                self.assertEqual(session.decrypt(command[8:-6]), inside)
            code = session.encrypt(answered) if answered else b""
            self.assertEqual(code, answer[8:-6])
            self.assertEqual(session.sign(answer[:-6]), answer[-6:-2])

    def test_a_wrong_mac_moves_nothing(self):
        session = self.session()
        first, second = (bytes.fromhex(each[0]) for each in EXCHANGE[:2])
        self.assertFalse(session.verify(second[:-6], second[-6:-2]))  # not its turn
        for n in range(len(first) * 8 - 16):
            hurt = bytearray(first)
            hurt[n // 8] ^= 1 << n % 8
            self.assertFalse(session.verify(bytes(hurt[:-6]), bytes(hurt[-6:-2])))
        self.assertFalse(session.verify(first[:-6], b""))
        self.assertTrue(session.verify(first[:-6], first[-6:-2]))

    def test_long_data_there_and_back(self):
        """A block's worth, one less, one more: the padding tells them apart."""
        for length in (1, 14, 15, 16, 17, 31, 32, 33):
            session = self.session()
            code = session.encrypt(bytes(range(length)))
            self.assertEqual(len(code), (length // 16 + 1) * 16)
            session._r_mac = session._c_mac  # the same start for the other direction
            self.assertEqual(session.decrypt(code), bytes(range(length)))

    def test_wrong_padding(self):
        for plain in (
            bytes(16),
            b"\x80" + bytes(31),
            b"a" * 16,
            b"\x80" + b"a" * 15,
            b"a\x80" + bytes(30),
        ):
            session = self.session()
            before, code = bytes(n ^ 255 for n in session._r_mac), b""
            for at in range(0, len(plain) // 16 * 16, 16):
                before = session._enc.encrypt(bytes(plain[at + n] ^ before[n] for n in range(16)))
                code += before
            self.assertTrue(session.decrypt(code) is None, plain)
        for data in (b"", bytes(15), bytes(17)):
            self.assertTrue(self.session().decrypt(data) is None)


if __name__ == "__main__":
    unittest.main()
