"""Splits the bytes that a barcode imager sends over a serial line into texts.

What common makes send before and after a text, by their manuals (links in imagers.md beside this
file):

- Honeywell: no prefix and no suffix by default, up to 11 characters of each (HF680 user's guide,
  chapter 4); optionally the AIM identifier (Marathon guide, page 2-25).
- Zebra: optionally the AIM identifier or Zebra's own (`P01` for QR) before the text (DS457
  integration guide, appendix E; SP72 reference guide, symbol code identifiers).
- Datalogic: CR LF over RS-232 (Gryphon manual 90ACC1780, section 5.3.1); optionally `]Q0` to `]Q6`
  before a QR text (Magellan 9800i reference guide, page 437).
- Opticon: CR over RS-232 and no prefix; optionally the AIM identifier (Universal Menu Book, string
  options and page U89).
- Newland: optionally code identifier, AIM identifier, prefix and suffix (Serial Programming Command
  Manual).
- Grow GM65 and its family: prefix, code identifier, data, suffix and tail, each of them optional
  (GM65 manual, page 15); optionally STX before and ETX after (GM69-S manual, 7.5).

So a text ends at any control character, or in silence if no control character follows it. A code
contains no control character (RFC 9285) and no `]`, so nothing that belongs to a code is removed. A
maker's own identifier could belong to a code, so it stays, and such a text is then no door code.
"""

import re

from edge.wire.code import TEXT_LEN_MAX

SILENT_S = 0.1
"""A text ends after this long without a byte. At 9600 baud a byte takes 1 ms, so this is a pause of
a hundred bytes; a USB imager sends a text in one piece."""

_STX = b"\x02"
_CONTROL = re.compile(rb"([\x00-\x1f\x7f])")
_AIM = re.compile(rb"\A\]Q[0-6]")  # the QR code's symbology identifier (ISO/IEC 15424)
_FRAME_LEN_MAX = TEXT_LEN_MAX + 3


class Framing:
    """Bytes in, texts out.

    The first bytes may be the rest of a text that began before. They are dropped up to the first
    control character or silence.
    """

    def __init__(self) -> None:
        self._text: bytearray | None = None  # so far; None: drop all up to the end of this text

    def feed(self, data: bytes) -> list[bytes]:
        """The texts that end within `data`, case and blanks unchanged."""
        texts: list[bytes] = []
        for number, piece in enumerate(_CONTROL.split(data)):
            if number % 2:  # a control character
                if piece == _STX:  # a text begins here, so the one before is incomplete
                    self._text = None
                texts += self.end_text()
            elif self._text is not None:
                self._text += piece
                if len(self._text) > _FRAME_LEN_MAX:
                    self._text = None
        return texts

    def end_text(self) -> list[bytes]:
        """End the present text, as after SILENT_S without a byte. Returns it, if there is one."""
        text = _AIM.sub(b"", self._text or b"")
        self._text = bytearray()
        return [text] if text else []
