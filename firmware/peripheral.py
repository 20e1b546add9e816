"""OSDP's peripheral device: answers a panel, keeps the session, passes on authenticated commands.

The rules and the standard's sections are in osdp.md. The `door` gets these calls:

    door.note_session(now_ms)        a session began
    door.note_frame(now_ms)          a frame of the session arrived, its MAC is right
    door.note_end(now_ms)            the session ended
    door.command(code, data, late, now_ms) -> (reply code, reply data)
    door.status(code, now_ms) -> (reply code, reply data), status queries, also unauthenticated ones
"""

import frames
from backoff import FailureBackoff
from guard import ticks_diff
from secure import Session, is_usable_key, unique_challenge

FRAMES_MAX = 4  # handled for one `data`; a panel sends one and waits for its reply
SESSION_MS = 8_000  # after this long without a valid frame the session ends (section 5.7)

_STATUS = (frames.LSTAT, frames.ISTAT, frames.OSTAT, frames.RSTAT)
_GUARDED = (frames.OUT, frames.LED, frames.BUZ, frames.COMSET, frames.KEYSET)
_VENDOR = b"\x02MN"  # a locally administered identifier, not assigned to a vendor
_MODEL, _VERSION = 1, 1
_FIRMWARE = b"\x00\x01\x00"

# Function, level, number: 8 inputs, 1 timed output, 1 two-coloured timed light, 1 timed buzzer,
# CRC-16, AES-128 and no default key, frames of 128 bytes in and out, 1 reader (Annex B).
_CAPABILITIES = (
    b"\x01\x01\x08\x02\x03\x01\x04\x03\x01\x05\x02\x01"
    b"\x08\x01\x00\x09\x01\x00\x0a\x80\x00\x0b\x80\x00\x0d\x00\x01"
)


class Peripheral:
    """Gets bytes from the line and makes the reply."""

    def __init__(self, key, address, serial, rng, door, now_ms, starts=0):
        """`key`: 16 bytes; None or an unusable key: no session. `serial`: 4 bytes.
        `starts`: a different number at each start.
        """
        self._key = key if is_usable_key(key) else None
        self._address = address
        self._id = _VENDOR + bytes((_MODEL, _VERSION)) + serial + _FIRMWARE
        self._rng = rng
        self._starts = starts
        self._challenges = 0
        self._door = door
        self._stream = frames.Stream(now_ms, ticks_diff)
        self._backoff = FailureBackoff(now_ms)
        self._session = None
        self._proven = False  # the panel has proved that it has the key
        self._valid_ms = now_ms  # last valid frame; before the first one: time of the challenge
        self._sequence = 0  # of the last answered frame
        self._last_frame = b""  # its bytes
        self._last_reply = None  # the reply to it
        self._reply = None  # to be sent

    def receive(self, data, now_ms):
        """Handle bytes from the line."""
        self.update(now_ms)
        count = 0
        for frame in self._stream.frames(data, now_ms):
            if frame.address == self._address:
                self._handle(frame, now_ms)
                count += 1
            if count == FRAMES_MAX:
                self._stream.clear()
                break  # no panel sends so much at once; the relay must not wait

    def send(self):
        """Return the reply to the last frame once, None if there is nothing to send."""
        reply = self._reply
        self._reply = None
        return reply

    def update(self, now_ms):
        """End the back-off or the session if its time is over."""
        self._backoff.update(now_ms)
        if self._session and not 0 <= ticks_diff(now_ms, self._valid_ms) < SESSION_MS:
            self._end(now_ms)

    def _handle(self, frame, now_ms):
        self._reply = None  # drop the reply to an earlier frame: it is too late
        if frame.sequence == 0:
            self._end(now_ms)
        elif frame.raw == self._last_frame:
            self._reply = self._last_reply  # but do not execute it again
            return
        if frame.block >= frames.SCS_15:
            self._handle_secured(frame, now_ms)
        elif frame.id == frames.CHLNG:
            self._handle_challenge(frame, now_ms)
        elif self._proven:
            self._reply_unsecured(frame, *self._refusal(frame, frames.NAK_INSECURE, now_ms))
        elif frame.id == frames.SCRYPT:
            self._handle_proof(frame, now_ms)
        else:
            self._reply_to(frame, *self._unsecured_reply(frame, now_ms))

    def _unsecured_reply(self, frame, now_ms):
        """Reply to a panel that is not authenticated."""
        if frame.id == frames.POLL:
            return frames.ACK, b""
        if frame.id in (frames.ID, frames.CAP):
            return self._identity(frame.id)
        reason = frames.NAK_INSECURE if frame.id in _GUARDED else frames.NAK_UNKNOWN
        return self._refusal(frame, reason, now_ms)

    def _identity(self, code):
        return (frames.PDID, self._id) if code == frames.ID else (frames.PDCAP, _CAPABILITIES)

    def _refusal(self, frame, reason, now_ms):
        """Return a NAK, or for a status query its report."""
        if frame.id in _STATUS:
            return self._door.status(frame.id, now_ms)
        return frames.NAK, bytes((reason,))

    def _handle_challenge(self, frame, now_ms):
        if self._backoff.is_waiting(now_ms):
            return  # no reply: libosdp repeats the challenge for 9 s (osdp.md)
        self._end(now_ms)
        if self._key is None or frame.block != frames.SCS_11 or frame.selector == 0:
            self._reply_to(frame, frames.NAK, bytes((frames.NAK_INSECURE,)))
        elif len(frame.data) != 8:
            self._reply_to(frame, frames.NAK, bytes((frames.NAK_LENGTH,)))
        else:
            self._challenges += 1
            rnd_b = unique_challenge(self._key, self._starts, self._challenges, self._rng(8))
            self._session = Session(self._key, frame.data, rnd_b)
            self._valid_ms = now_ms
            data = self._id[:8] + rnd_b + self._session.cryptogram
            self._reply_to(frame, frames.CCRYPT, data, bytes((3, frames.SCS_12, 1)))

    def _handle_proof(self, frame, now_ms):
        session = self._session
        if session is None or frame.block != frames.SCS_13 or len(frame.data) != 16:
            self._reply_to(frame, frames.NAK, bytes((frames.NAK_INSECURE,)))
            return
        r_mac = session.check_proof(frame.data)
        if r_mac is None:
            self._end_by_failure(now_ms)
            self._reply_to(frame, frames.NAK, bytes((frames.NAK_INSECURE,)))
            return
        self._proven = True
        self._valid_ms = now_ms
        self._door.note_session(now_ms)
        self._reply_to(frame, frames.RMAC_I, r_mac, bytes((3, frames.SCS_14, 1)))

    def _handle_secured(self, frame, now_ms):
        if frame.block not in (frames.SCS_15, frames.SCS_17):
            return
        if not self._proven:
            self._reply_unsecured(frame, *self._refusal(frame, frames.NAK_INSECURE, now_ms))
            return
        session = self._session
        is_next = frame.sequence == self._sequence % 3 + 1
        is_valid = session.verify(frame.signed, frame.mac)
        if not is_valid and not is_next:
            return  # late or recorded: ignored
        data = frame.data
        if is_valid and is_next and frame.block == frames.SCS_17:
            data = session.decrypt(data)
        if not is_valid or data is None:
            self._end_by_failure(now_ms)
            self._reply_unsecured(frame, *self._refusal(frame, frames.NAK_INSECURE, now_ms))
            return
        if not is_next:
            self._end(now_ms)
            self._reply_unsecured(frame, *self._refusal(frame, frames.NAK_SEQUENCE, now_ms))
            return
        late = self._door.note_frame(now_ms)
        self._valid_ms = now_ms
        if frame.id in (frames.ID, frames.CAP):
            code, data = self._identity(frame.id)
        else:
            code, data = self._door.command(frame.id, data, late, now_ms)
        if data:
            block = bytes((2, frames.SCS_18))
            data = session.encrypt(data)
        else:
            block = bytes((2, frames.SCS_16))
        self._reply_to(frame, code, data, block, session.sign)

    def _reply_to(self, frame, code, data=b"", block=b"", sign=None):
        """Set the reply, and keep it for a repeated frame."""
        self._reply = frames.reply(self._address, frame.sequence, code, data, block, sign)
        self._sequence = frame.sequence
        self._last_frame = frame.raw
        self._last_reply = self._reply

    def _reply_unsecured(self, frame, code, data):
        """Reply without a MAC to a frame from outside the session, which does not change."""
        self._reply = frames.reply(self._address, frame.sequence, code, data)

    def _end_by_failure(self, now_ms):
        self._end(now_ms)
        self._backoff.note_failure(now_ms)

    def _end(self, now_ms):
        was_proven = self._proven
        self._session = None
        self._proven = False
        self._last_frame = b""
        self._last_reply = None
        if was_proven:
            self._door.note_end(now_ms)
