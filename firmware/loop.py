"""The main program: run the self-test, then pair or serve the door.

The watchdog is fed only at the end of a cycle in which every stage made progress: the time
advanced, the line and the inputs were read, and the relay's pin has the level that was set. Every
failure ends in a reset, and after a reset the relay is off.
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

BLINK_MS = 250  # pairing: green and red alternate; self-test failed: red
UNPAIRED_BAUD = 115_200


def run() -> None:
    """Run the self-test, then pair or serve; on any error log it, store it and return."""
    store = Store()
    pico = board.Board()
    try:
        failure = selftest.first_failure()
        if failure:
            log.error(failure)
            store.save_fault(failure)
        if board.is_jumper_fitted():
            pair(pico, store, failure)
        elif failure:
            show_failure(pico)
        else:
            serve(pico, store)
    except BaseException as error:  # every kind: only a reset is safe now
        pico.turn_off()
        text = type(error).__name__ + ": " + str(error)
        log.error(text)
        store.save_fault(text)


def serve(pico: board.Board, store: Store) -> None:
    """Serve the door. Never returns; raises on any fault."""
    settings = read_settings(store)
    latched = store.is_latched()
    starts = store.count_start()
    now_ms = board.now_ms()
    if settings is None:
        key, address, baud, latch = None, 0, UNPAIRED_BAUD, "none"
    else:
        key, address, baud, latch = settings.key, settings.address, settings.baud, settings.latch
    serial = board.serial()[-4:]
    door = Controller(key, address, latch, latched, os.urandom, now_ms, baud, serial, starts)
    line = board.Line(baud)
    log.info("version " + VERSION + ", address " + str(address) + ", " + str(baud) + " baud")
    fed_ms = now_ms
    while True:
        now_ms = board.now_ms()
        door.receive(line.read(), now_ms)
        reply = door.send()
        outputs = door.update(pico.read_levels(), now_ms)
        relay_ok = pico.set_outputs(
            outputs.relay, outputs.green, outputs.red, outputs.buzzer, outputs.heartbeat
        )
        if reply is not None:
            line.write(reply)
        line.update()
        if door.latched != latched:
            latched = door.latched
            pico.set_outputs(False, False, False, False, False)
            store.save_latch(latched)
        if not relay_ok:
            raise OSError("the relay's pin does not have the level that was set")
        if ticks_diff(now_ms, fed_ms) > 0:  # if the clock stands still, no pulse ends: reset
            fed_ms = now_ms
            pico.feed()


def pair(pico: board.Board, store: Store, failure: str) -> None:
    """Accept a key over USB, with the relay off. Never returns: a power cycle ends it."""
    import cryptolib

    def encrypt(key: bytes, block: bytes) -> bytes:
        return cryptolib.aes(key, 1).encrypt(block)

    usb = board.Usb()
    pairing = Pairing(board.serial().hex(), VERSION, store, encrypt, failure)
    while True:
        green = board.now_ms() // BLINK_MS % 2 == 0
        if not pico.set_outputs(False, green, not green, False, False):
            raise OSError("the relay's pin does not have the level that was set")
        reply = pairing.receive(usb.read())
        if reply:
            usb.write(reply)
        pico.feed()


def show_failure(pico: board.Board) -> None:
    """Blink red: this controller must be replaced. Never returns."""
    while True:
        pico.set_outputs(False, False, board.now_ms() // BLINK_MS % 2 == 0, False, False)
        pico.feed()


def read_settings(store: Store) -> Settings | None:
    """Return the paired settings, None if there are none or they cannot be read."""
    try:
        settings = store.settings()
    except (TornSettings, OSError) as error:
        log.error(str(error))
        store.save_fault(str(error))
        return None
    if settings is None:
        log.error("not paired")
    return settings
