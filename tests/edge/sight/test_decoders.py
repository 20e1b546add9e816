"""The two decoders: the bytes of a symbol or nothing, and where it is."""

import random
import sys

import numpy as np
import pytest
import segno

from edge.sight import cascade, zbar, zxing
from edge.sight.cascade import Decoder
from edge.sight.frame import Luma

TEXT = b"DC1:" + b"ABC123 $%*+-./:" * 11


def symbol(data: bytes, module: int = 4, **options: object) -> Luma:
    """Upright, dark on light, with its quiet zone."""
    made = segno.make(data, micro=False, **options)
    light = np.array([[0 if dark else 255 for dark in row] for row in made.matrix], np.uint8)
    return np.pad(
        np.kron(light, np.ones((module, module), np.uint8)), 4 * module, constant_values=255
    )


@pytest.mark.parametrize("decoder", ["zxing-cpp", "pyzbar", "both"])
def test_each_decoder_reads_the_bytes_of_a_symbol(decoder: Decoder) -> None:
    (found,) = cascade.read(symbol(TEXT), decoder, 1.0).symbols
    assert found.data == TEXT


@pytest.mark.parametrize("decoder", ["zxing-cpp", "pyzbar", "both"])
def test_nothing_is_read_in_noise_or_in_a_single_pixel(decoder: Decoder) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320), np.uint8)
    assert cascade.read(noise, decoder, 1.0).symbols == ()
    assert cascade.read(np.zeros((1, 1), np.uint8), decoder, 1.0).symbols == ()


def test_binary_comes_whole_from_one_and_never_from_the_other() -> None:
    rng = random.Random(1)
    for _ in range(20):
        data = bytes([*rng.randbytes(6), rng.randrange(128, 256)])
        picture = symbol(data, mode="byte")
        assert [s.data for s in zxing.read(picture).symbols] == [data]
        assert zbar.read(picture) == ()


def test_ascii_comes_out_of_zbar_as_it_went_in() -> None:
    rng = random.Random(1)
    for _ in range(20):
        data = bytes(rng.randrange(128) for _ in range(20))
        assert [s.data for s in zbar.read(symbol(data, mode="byte"))] == [data]


def test_one_part_of_several_is_no_symbol_of_zbar_and_no_failure() -> None:
    parts = segno.make_sequence("DC1:" + "A" * 40, symbol_count=2)
    light = np.array([[0 if dark else 255 for dark in row] for row in parts[0].matrix], np.uint8)
    picture = np.pad(np.kron(light, np.ones((4, 4), np.uint8)), 16, constant_values=255)
    assert zbar.read(picture) == ()


@pytest.mark.parametrize("turns", range(4))
def test_both_name_the_corners_alike_however_it_is_held(turns: int) -> None:
    picture = np.ascontiguousarray(np.rot90(symbol(TEXT), turns))
    (one,), (other,) = zxing.read(picture).symbols, zbar.read(picture)
    assert np.abs(np.subtract(one.corners, other.corners)).max() <= 3


def test_what_is_located_and_not_read_is_told() -> None:
    picture = symbol(TEXT)
    middle = len(picture) // 2
    picture[middle - 40 : middle + 40, middle - 40 : middle + 40] = 0
    found = zxing.read(picture)
    assert found.symbols == ()
    assert any(max(place[0]) < middle < min(place[2]) for place in found.located)


@pytest.mark.parametrize("decoder", ["both", "pyzbar"])
def test_without_zbars_library_the_first_picture_says_so(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edge.sight

    for name in [name for name in sys.modules if name.partition(".")[0] == "pyzbar"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    monkeypatch.delitem(sys.modules, "edge.sight.zbar")
    monkeypatch.delattr(edge.sight, "zbar")
    with pytest.raises(ImportError, match="apt install libzbar0"):
        cascade.read(symbol(TEXT), decoder, 1.0)
    assert [s.data for s in cascade.read(symbol(TEXT), "zxing-cpp", 1.0).symbols] == [TEXT]
