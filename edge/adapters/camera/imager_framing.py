"""Texts in the stream of bytes that a barcode imager sends over a serial line.

What the usual makes send around a text, by their own documents (imagers.md beside this
file has the links):

- Honeywell: no prefix and no suffix, until up to 11 characters of each are set (HF680 user's guide,
  chapter 4); the AIM identifier if wanted (Marathon guide, page 2-25).
- Zebra: the AIM identifier or its own (`P01` for QR) before the text if wanted (DS457 integration
  guide, appendix E; SP72 reference guide, symbol code identifiers).
- Datalogic: CR LF over RS-232 (Gryphon manual 90ACC1780, section 5.3.1); `]Q0` to `]Q6` before a
  QR text if wanted (Magellan 9800i reference guide, page 437).
- Opticon: CR over RS-232 and no prefix; the AIM identifier if wanted (Universal Menu Book, string
  options and page U89).
- Newland: code identifier, AIM identifier, prefix and suffix if wanted (Serial Programming Command
  Manual).
- Grow GM65 and its family: prefix, code identifier, data, suffix and tail, each of them if wanted
  (GM65 manual, page 15); STX before and ETX behind if wanted (GM69-S manual, 7.5).

So a text ends at any control character, or in silence where nothing ends it. The alphabet of a
code has no control character (RFC 9285) and no `]`: nothing is taken away that could belong to a
code. A maker's own identifier could, so it stays, and the text is then no door code.
"""

import re

from edge.wire.code import TEXT_LEN_MAX

SILENT_S = 0.1
"""After this long without a byte a text has ended. At 9600 baud a byte takes 1 ms, so this is a
pause of a hundred; a USB imager sends a text in one piece."""

_STX = b"\x02"
_CONTROL = re.compile(rb"([\x00-\x1f\x7f])")
_AIM = re.compile(rb"\A\]Q[0-6]")  # the QR code's symbology identifier (ISO/IEC 15424)
_FRAME_LEN_MAX = TEXT_LEN_MAX + 3


class Framing:
    """Bytes in, texts out. It begins in the dark: until a text has ended, or nothing has come for
    a while, what comes may be the rest of one.
    """

    def __init__(self) -> None:
        self._begun: bytearray | None = None  # None: its beginning is not known, or it is too long

    def feed(self, data: bytes) -> list[bytes]:
        """The texts that end within `data`, case and blanks as they came."""
        texts: list[bytes] = []
        for number, piece in enumerate(_CONTROL.split(data)):
            if number % 2:  # a control character
                if piece == _STX:  # it begins one: what has not ended never will
                    self._begun = None
                texts += self.silence()
            elif self._begun is not None:
                self._begun += piece
                if len(self._begun) > _FRAME_LEN_MAX:
                    self._begun = None
        return texts

    def silence(self) -> list[bytes]:
        """Nothing has come for SILENT_S: what there is has ended."""
        text = _AIM.sub(b"", self._begun or b"")
        self._begun = bytearray()
        return [text] if text else []
