"""Pictures and symbols: what is read, what is passed over, what is told."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from edge.adapters.camera.pictures import PictureError, PictureFolder, read
from edge.parts import CameraLost
from edge.sight import cascade
from edge.sight.cascade import Decoder
from edge.sight.frame import Luma, Symbol
from tests.campus import put_frame, symbol

TEXT = "DC1:" + "ABC123 $%*+-./:" * 11


def seen(luma: Luma, decoder: Decoder) -> tuple[Symbol, ...]:
    return cascade.read(luma, decoder, 1.0).symbols


@pytest.mark.parametrize("decoder", ["zxing-cpp", "pyzbar", "both"])
def test_each_decoder_reads_the_bytes_of_a_symbol(decoder: Decoder) -> None:
    (found,) = seen(symbol(TEXT), decoder)
    assert found.data == TEXT.encode()
    assert len(found.corners) == 4


def test_two_symbols_in_view_are_both_read() -> None:
    picture = np.hstack([symbol(TEXT), symbol(TEXT + "2")])
    assert {s.data for s in seen(picture, "zxing-cpp")} == {
        TEXT.encode(),
        TEXT.encode() + b"2",
    }


def test_pyzbar_is_asked_where_the_other_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zxingcpp, "read_barcodes", lambda *_a, **_k: [])
    assert seen(symbol(TEXT), "zxing-cpp") == ()
    assert [s.data for s in seen(symbol(TEXT), "both")] == [TEXT.encode()]


@pytest.mark.parametrize("decoder", ["zxing-cpp", "pyzbar", "both"])
def test_a_picture_of_nothing_holds_nothing(decoder: Decoder) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640), np.uint8)
    assert seen(noise, decoder) == ()
    assert seen(np.zeros((1, 1), np.uint8), decoder) == ()


def test_binary_symbols_come_as_their_bytes() -> None:
    data = bytes(range(256))
    made = zxingcpp.create_barcode(data, zxingcpp.BarcodeFormat.QRCode)
    picture = np.kron(np.array(made.to_image()), np.ones((4, 4), np.uint8))
    picture = np.pad(picture, 32, constant_values=255)
    assert [s.data for s in seen(picture, "zxing-cpp")] == [data]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".pgm", ".bmp"])
def test_pictures_of_each_kind_are_luma(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{suffix}"
    Image.fromarray(symbol(TEXT)).save(path)
    luma = read(path)
    assert luma.dtype == np.uint8
    assert luma.ndim == 2
    assert seen(luma, "zxing-cpp")[0].data == TEXT.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a picture"),
        (b"DC1:" * 2_500_000, "not a picture"),
        (b"P5 10 10 255\n" + b"x" * 9, "damaged|cannot be read"),
        (b"P5 9000 9000 255\n", "50 million pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged|not a picture|cannot be read"),
    ],
)
def test_a_foreign_or_torn_picture_is_one_sentence(
    content: bytes, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.pgm"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=why):
        read(path)


def test_a_torn_jpeg_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    Image.fromarray(symbol(TEXT)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(PictureError, match="cannot be read"):
        read(path)


def test_a_missing_picture_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.png"
    os.mkfifo(fifo)
    for path in (tmp_path / "none.png", tmp_path, fifo):
        with pytest.raises(PictureError, match=r"cannot be read|is not a file"):
            read(path)


def test_content_that_would_start_a_program_is_no_picture(tmp_path: Path) -> None:
    """Pillow hands EPS to Ghostscript, whatever the file's name says."""
    path = tmp_path / "p.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    with pytest.raises(PictureError, match="not a picture"):
        read(path)


def test_the_newest_picture_wins_and_the_rest_are_counted(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path)
    assert folder.latest() is None
    for number, level in enumerate((10, 20, 30), start=1):
        put_frame(tmp_path, number, np.full((4, 4), level, np.uint8))
    frame = folder.latest()
    assert frame is not None
    assert frame.luma[0, 0] == 30
    assert folder.dropped == 2
    assert folder.latest() is None


def test_a_torn_picture_in_the_folder_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = PictureFolder(tmp_path)
    (tmp_path / "000000001.pgm").write_bytes(b"torn")
    with caplog.at_level(logging.WARNING):
        assert folder.latest() is None
    assert "skipped" in caplog.text
    put_frame(tmp_path, 2, np.full((4, 4), 7, np.uint8))
    assert folder.latest() is not None


def test_a_folder_that_goes_away_is_a_lost_camera(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    with pytest.raises(CameraLost, match="cannot be read"):
        PictureFolder(frames)
    frames.mkdir()
    folder = PictureFolder(frames)
    frames.rmdir()
    with pytest.raises(CameraLost, match="cannot be read"):
        folder.latest()
