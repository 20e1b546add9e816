"""The known answers are right, and a guard or an AES that has lost a bit is noticed."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import cryptolib
import guard
import pytest
import selftest

FIRMWARE = Path(guard.__file__).parent


def test_nothing_is_wrong() -> None:
    assert selftest.first_failure() == ""
    assert (selftest.PULSE_MS, selftest.REST_MS, selftest.LINK_MS) == (
        guard.PULSE_MS_MAX,
        guard.REST_MS_MIN,
        guard.LINK_MS_MAX,
    )


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("PULSE_MS_MAX = 10_000", "PULSE_MS_MAX = 10_001"),
        ("REST_MS_MIN = 250", "REST_MS_MIN = 249"),
        ("LINK_MS_MAX = 1_500", "LINK_MS_MAX = 1_501"),
        ("if pulse_ms <= 0 or not", "if not"),
        ("if pulse_ms <= 0 or not self._linked:", "if pulse_ms <= 0:"),
        ("if self._on or self._resting or", "if self._resting or"),
        ("if not self._linked or ticks_diff", "if ticks_diff"),
        (">= self._pulse_ms:", ">= self._pulse_ms + 1:"),
        ("self._linked = False  #", "self._linked = True  #"),
        ("return self._on\n", "return False\n"),
        ("return self._on\n", "return True\n"),
        ("(end_ms - start_ms) & _MASK", "(end_ms - start_ms)"),
    ],
)
def test_a_guard_that_is_another_one(
    monkeypatch: pytest.MonkeyPatch, line: str, broken: str
) -> None:
    text = (FIRMWARE / "guard.py").read_text()
    assert text.count(line) == 1, f"{line!r} is not in guard.py once"
    another = ModuleType("guard")
    exec(compile(text.replace(line, broken), "guard.py", "exec"), another.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "guard", another)
    monkeypatch.delitem(sys.modules, "selftest")
    assert importlib.import_module("selftest").first_failure().startswith("the guard ")


@pytest.mark.parametrize("name", ["ECB", "CBC", "PLAIN", "KEY", "VECTOR"])
def test_a_vector_that_is_another_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = bytearray(getattr(selftest, name))
    value[7] ^= 16
    monkeypatch.setattr(selftest, name, bytes(value))
    assert re.match("AES gives a wrong result", selftest.first_failure())


def test_an_aes_that_only_encrypts_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Aes(cryptolib.aes):
        def decrypt(self, data: bytes) -> bytes:
            return bytes(len(data))

    monkeypatch.setattr(selftest, "aes", Aes)
    assert selftest.first_failure() == "AES gives a wrong result (ECB)"
