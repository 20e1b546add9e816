"""What the controller does from power-on: try itself, then pair or serve.

The watchdog is fed only at the end of a turn in which every stage made progress: time went on, the
line and the inputs were read, and the relay's pin is at the level it was told. Whatever fails ends
in a reset, and a reset ends in a door at rest.
"""

import os

import board
import log
import selftest
from controller import Controller
from guard import ticks_diff
from pairing import Pairing
from store import Settings, Store, TornSettings
from version import VERSION

BLINK_MS = 250  # pairing: green and red in turn; failed: red
UNPAIRED_BAUD = 115_200


def run() -> None:
    """Try, then pair or serve; where anything fails, say so and return."""
    store = Store()
    pico = board.Board()
    try:
        wrong = selftest.failed()
        if wrong:
            log.warn(wrong)
            store.keep_fault(wrong)
        if board.jumper():
            pair(pico, store, wrong)
        elif wrong:
            fail(pico)
        else:
            serve(pico, store)
    except BaseException as why:  # of every kind: only a reset ends what must not go on
        pico.rest()
        text = type(why).__name__ + ": " + str(why)
        log.warn(text)
        store.keep_fault(text)


def serve(pico: board.Board, store: Store) -> None:
    """The door. Returns never; raises where anything is not as it should be."""
    settings = stored(store)
    latched = store.latched()
    starts = store.started()
    now_ms = board.now_ms()
    if settings is None:
        key, address, baud, latch = None, 0, UNPAIRED_BAUD, "none"
    else:
        key, address, baud, latch = settings.key, settings.address, settings.baud, settings.latch
    serial = board.serial()[-4:]
    door = Controller(key, address, latch, latched, os.urandom, now_ms, baud, serial, starts)
    line = board.Line(baud)
    log.say("version " + VERSION + ", address " + str(address) + ", " + str(baud) + " baud")
    fed_ms = now_ms
    while True:
        now_ms = board.now_ms()
        door.receive(line.read(), now_ms)
        answer = door.send()
        outputs = door.update(pico.levels(), now_ms)
        done = pico.show(
            outputs.relay, outputs.green, outputs.red, outputs.buzzer, outputs.heartbeat
        )
        if answer is not None:
            line.write(answer)
        line.update()
        if door.latched != latched:
            latched = door.latched
            pico.show(False, False, False, False, False)
            store.latch(latched)
        if not done:
            raise OSError("the relay's pin is not as it was told")
        if ticks_diff(now_ms, fed_ms) > 0:  # a clock that stands still ends no pulse
            fed_ms = now_ms
            pico.feed()


def pair(pico: board.Board, store: Store, broken: str) -> None:
    """Take a key over USB, with the door at rest. Returns never: a power cycle ends it."""
    import cryptolib

    def encrypt(key: bytes, block: bytes) -> bytes:
        return cryptolib.aes(key, 1).encrypt(block)

    usb = board.Usb()
    pairing = Pairing(board.serial().hex(), VERSION, store, encrypt, broken)
    while True:
        green = board.now_ms() // BLINK_MS % 2 == 0
        if not pico.show(False, green, not green, False, False):
            raise OSError("the relay's pin is not as it was told")
        answer = pairing.receive(usb.read())
        if answer:
            usb.write(answer)
        pico.feed()


def fail(pico: board.Board) -> None:
    """Show that this controller must be replaced. Returns never."""
    while True:
        pico.show(False, False, board.now_ms() // BLINK_MS % 2 == 0, False, False)
        pico.feed()


def stored(store: Store) -> Settings | None:
    """What was paired, None where that was nothing or cannot be read."""
    try:
        settings = store.settings()
    except (TornSettings, OSError) as why:
        log.warn(str(why))
        store.keep_fault(str(why))
        return None
    if settings is None:
        log.warn("not paired")
    return settings
