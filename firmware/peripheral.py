"""One end of the line: answers a panel, keeps the session, hands on only what is proven.

The rules, with their sections of the standard, are in osdp.md. What is proven goes to the `door`:

    door.proved(now_ms)              a session began
    door.valid(now_ms)               a frame of the session with the right MAC came
    door.ended(now_ms)               the session is over
    door.command(code, data, late, now_ms) -> (reply code, reply data)
    door.status(code, now_ms) -> (reply code, reply data), for status queries, of anybody
"""

import frames
from backoff import FailureBackoff
from guard import ticks_diff
from secure import Session, fresh, usable

FRAMES_MAX = 4  # of one piece of the stream; a panel waits for its answer
SESSION_MS = 8_000  # without a valid frame, and the session is over (section 5.7)

_STATUS = (frames.LSTAT, frames.ISTAT, frames.OSTAT, frames.RSTAT)
_GUARDED = (frames.OUT, frames.LED, frames.BUZ, frames.COMSET, frames.KEYSET)
_VENDOR = b"\x02MN"  # an identifier of the locally administered kind: no maker's
_MODEL, _VERSION = 1, 1
_FIRMWARE = b"\x00\x01\x00"

# Function, level, number: 8 inputs, 1 timed output, 1 two-coloured timed light, 1 timed buzzer,
# CRC-16, AES-128 and no default key, frames of 128 bytes in and out, 1 reader (Annex B).
_CAPABILITIES = (
    b"\x01\x01\x08\x02\x03\x01\x04\x03\x01\x05\x02\x01"
    b"\x08\x01\x00\x09\x01\x00\x0a\x80\x00\x0b\x80\x00\x0d\x00\x01"
)


class Peripheral:
    """Takes the bytes of the line and makes those of the answer."""

    def __init__(self, key, address, serial, rng, door, now_ms, starts=0):
        """`key`: 16 bytes; None, or one that is not usable: no session. `serial`: 4 bytes.
        `starts`: another number at each start.
        """
        self._key = key if usable(key) else None
        self._address = address
        self._id = _VENDOR + bytes((_MODEL, _VERSION)) + serial + _FIRMWARE
        self._rng = rng
        self._starts = starts
        self._challenges = 0
        self._door = door
        self._stream = frames.Stream(now_ms, ticks_diff)
        self._backoff = FailureBackoff(now_ms)
        self._session = None
        self._proven = False  # the panel has the key
        self._valid_ms = now_ms  # when it last showed that; before: when it was challenged
        self._sequence = 0  # of the last frame that was answered
        self._last = b""  # that frame
        self._answer = None  # its answer
        self._reply = None  # what is to be sent

    def receive(self, data, now_ms):
        """Take what came over the line."""
        self.turn(now_ms)
        taken = 0
        for frame in self._stream.frames(data, now_ms):
            if frame.address == self._address:
                self._take(frame, now_ms)
                taken += 1
            if taken == FRAMES_MAX:
                self._stream.forget()
                break  # no panel says so much at once; the relay's turn comes first

    def send(self):
        """The answer to what came last, once; None: nothing is to be said."""
        reply = self._reply
        self._reply = None
        return reply

    def turn(self, now_ms):
        """End what has waited too long."""
        self._backoff.turn(now_ms)
        if self._session and not 0 <= ticks_diff(now_ms, self._valid_ms) < SESSION_MS:
            self._end(now_ms)

    def _take(self, frame, now_ms):
        self._reply = None  # the answer to an earlier frame comes too late
        if frame.sequence == 0:
            self._end(now_ms)
        elif frame.raw == self._last:
            self._reply = self._answer  # and nothing is done twice
            return
        if frame.block >= frames.SCS_15:
            self._secured(frame, now_ms)
        elif frame.id == frames.CHLNG:
            self._challenge(frame, now_ms)
        elif self._proven:
            self._plainly(frame, *self._refused(frame, frames.NAK_INSECURE, now_ms))
        elif frame.id == frames.SCRYPT:
            self._prove(frame, now_ms)
        else:
            self._say(frame, *self._open(frame, now_ms))

    def _open(self, frame, now_ms):
        """What anybody is told."""
        if frame.id == frames.POLL:
            return frames.ACK, b""
        if frame.id in (frames.ID, frames.CAP):
            return self._told(frame.id)
        reason = frames.NAK_INSECURE if frame.id in _GUARDED else frames.NAK_UNKNOWN
        return self._refused(frame, reason, now_ms)

    def _told(self, code):
        return (frames.PDID, self._id) if code == frames.ID else (frames.PDCAP, _CAPABILITIES)

    def _refused(self, frame, reason, now_ms):
        """A NAK; but never for a status query."""
        if frame.id in _STATUS:
            return self._door.status(frame.id, now_ms)
        return frames.NAK, bytes((reason,))

    def _challenge(self, frame, now_ms):
        if self._backoff.is_waiting(now_ms):
            return  # in silence: libosdp asks again for 9 s (osdp.md)
        self._end(now_ms)
        if self._key is None or frame.block != frames.SCS_11 or frame.selector == 0:
            self._say(frame, frames.NAK, bytes((frames.NAK_INSECURE,)))
        elif len(frame.data) != 8:
            self._say(frame, frames.NAK, bytes((frames.NAK_LENGTH,)))
        else:
            self._challenges += 1
            rnd_b = fresh(self._key, self._starts, self._challenges, self._rng(8))
            self._session = Session(self._key, frame.data, rnd_b)
            self._valid_ms = now_ms
            data = self._id[:8] + rnd_b + self._session.cryptogram
            self._say(frame, frames.CCRYPT, data, bytes((3, frames.SCS_12, 1)))

    def _prove(self, frame, now_ms):
        session = self._session
        if session is None or frame.block != frames.SCS_13 or len(frame.data) != 16:
            self._say(frame, frames.NAK, bytes((frames.NAK_INSECURE,)))
            return
        r_mac = session.prove(frame.data)
        if r_mac is None:
            self._failed(now_ms)
            self._say(frame, frames.NAK, bytes((frames.NAK_INSECURE,)))
            return
        self._proven = True
        self._valid_ms = now_ms
        self._door.proved(now_ms)
        self._say(frame, frames.RMAC_I, r_mac, bytes((3, frames.SCS_14, 1)))

    def _secured(self, frame, now_ms):
        if frame.block not in (frames.SCS_15, frames.SCS_17):
            return
        if not self._proven:
            self._plainly(frame, *self._refused(frame, frames.NAK_INSECURE, now_ms))
            return
        session = self._session
        next_ = frame.sequence == self._sequence % 3 + 1
        right = session.verify(frame.signed, frame.mac)
        if not right and not next_:
            return  # late, or recorded: of no meaning now
        data = frame.data
        if right and next_ and frame.block == frames.SCS_17:
            data = session.decrypt(data)
        if not right or data is None:
            self._failed(now_ms)
            self._plainly(frame, *self._refused(frame, frames.NAK_INSECURE, now_ms))
            return
        if not next_:
            self._end(now_ms)
            self._plainly(frame, *self._refused(frame, frames.NAK_SEQUENCE, now_ms))
            return
        late = self._door.valid(now_ms)
        self._valid_ms = now_ms
        if frame.id in (frames.ID, frames.CAP):
            code, data = self._told(frame.id)
        else:
            code, data = self._door.command(frame.id, data, late, now_ms)
        if data:
            block = bytes((2, frames.SCS_18))
            data = session.encrypt(data)
        else:
            block = bytes((2, frames.SCS_16))
        self._say(frame, code, data, block, session.sign)

    def _say(self, frame, code, data=b"", block=b"", sign=None):
        """Answer, and keep the answer for a frame that comes again."""
        self._reply = frames.reply(self._address, frame.sequence, code, data, block, sign)
        self._sequence = frame.sequence
        self._last = frame.raw
        self._answer = self._reply

    def _plainly(self, frame, code, data):
        """Answer one whose frame is not of this session, which goes on as if none had come."""
        self._reply = frames.reply(self._address, frame.sequence, code, data)

    def _failed(self, now_ms):
        self._end(now_ms)
        self._backoff.note_failure(now_ms)

    def _end(self, now_ms):
        was = self._proven
        self._session = None
        self._proven = False
        self._last = b""
        self._answer = None
        if was:
            self._door.ended(now_ms)
