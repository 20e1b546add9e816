"""MicroPython's `cryptolib` for CPython: the same class over `cryptography`. Only for tests."""

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES


class aes:
    """`mode` 1: ECB; 2: CBC. One object encrypts or decrypts, never both, as on the controller."""

    def __init__(self, key, mode, iv=None):
        modes_ = modes.ECB() if mode == 1 else modes.CBC(bytes(iv))  # noqa: S305 -- as OSDP has it
        self._cipher = Cipher(AES(bytes(key)), modes_)
        self._way = None
        self._context = None

    def encrypt(self, data):
        return self._run("encryptor", data)

    def decrypt(self, data):
        return self._run("decryptor", data)

    def _run(self, way, data):
        if self._way is None:
            self._way = way
            self._context = getattr(self._cipher, way)()
        if self._way != way:
            raise ValueError("can't encrypt & decrypt")
        if len(data) % 16:
            raise ValueError("blksize % 16")
        return self._context.update(bytes(data))
