"""The direct door: lights, buzzer, relay and illuminator on the Pi's own pins, through gpiozero.

One thread plays actions, so a stalled loop ends nothing late: each action comes to rest by itself.
A hung kernel is beyond software; the one-shot behind the relay pin ends that pulse (hardware/).
"""

import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gpiozero

from edge.door import DoorAction, Step
from edge.ports import DoorLost, Inputs
from edge.wire.unit import UNLOCK_MS_MAX, Pins

REST_S = 0.25
"""How long the relay is off between two pulses, as `firmware/guard.py` has it: the one-shot behind
the pin wants a low before each edge."""

BOUNCE_S = 0.02
"""A level must hold this long to count as a turn: contacts bounce for a few milliseconds, and a
turnstile holds its contact while the arms move, for a tenth of a second and more."""

_REST = Step(0, False, False, False)


class GpioDoor:
    """Drives the pins of `pins`. Raises DoorLost when there are none (no Pi, no rights)."""

    def __init__(self, pins: Pins, pin_factory: Any = None) -> None:
        """`pin_factory`: gpiozero's; None takes gpiozero's default, lgpio on a Pi."""
        self._opened: list[Any] = []
        self._inputs: list[Any] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", gpiozero.PinFactoryFallback)
                self._relay = self._output(pins.relay, pin_factory)  # at rest before all else
                self._green = self._output(pins.green, pin_factory)
                self._red = self._output(pins.red, pin_factory)
                self._buzzer = self._output(pins.buzzer, pin_factory)
                self._illuminator = (
                    None
                    if pins.illuminator is None
                    else self._output(pins.illuminator, pin_factory)
                )
                self._turns_in = Turns(self._turn_input(pins.turn, pin_factory))
                self._turns_out = Turns(self._turn_input(pins.turn_out, pin_factory))
        except Exception as error:  # each backend has classes of its own (lgpio.error)
            self._close_pins()
            raise DoorLost(
                f"the pins of this door cannot be driven ({_first_line(error)}); "
                "run on a Raspberry Pi with lgpio, as a member of the group gpio"
            ) from None
        self._changed = threading.Condition()
        self._action: DoorAction | None = None
        self._action_start_s = 0.0
        self._unlocked_until_s = 0.0
        self._rests_from_s = 0.0
        self._relay_low = True  # as far as we could set it
        self._lost: str | None = None
        self._closed = False
        self._player = threading.Thread(target=self._play, name="door", daemon=True)
        self._player.start()

    def apply(self, action: DoorAction) -> None:
        """Start `action` in place of the one that runs; a pulse that runs is left to its end."""
        with self._changed:
            may = 0 < action.unlock_ms <= UNLOCK_MS_MAX and self._resting()
            if may:  # the last word: nothing else turns the relay on
                self._pulse(action.unlock_ms)
            self._action, self._action_start_s = action, time.monotonic()
            self._changed.notify()

    def resting(self) -> bool:
        """Whether the relay has been off for REST_S: the one-shot wants a low before each edge.

        Raises DoorLost while a pin cannot be set, so the loop learns it before it counts.
        """
        with self._changed:
            if self._lost is not None:
                self._mend()
            return self._resting()

    def illuminate(self, on: bool) -> None:
        """Light what is held before the camera, or cease to. Raises DoorLost."""
        if self._illuminator is None:
            return
        with self._changed:
            try:
                self._set(self._illuminator, on)
            except Exception as error:  # as above
                self._lost = _pin_lost(error)
                raise DoorLost(self._lost) from None

    def turned(self) -> tuple[int, int]:
        """Turns in and out since the last call."""
        return self._turns_in.taken(), self._turns_out.taken()

    def inputs(self) -> Inputs:
        """What the door says now."""
        return Inputs()

    def close(self) -> None:
        """Everything at rest."""
        with self._changed:
            self._closed = True
            self._action = None
            self._unlocked_until_s = 0.0
            self._changed.notify()
        self._player.join(timeout=2)
        self._close_pins()

    def _pulse(self, unlock_ms: int) -> None:
        """Turn the relay on, here and not in the player, so that no counted opening goes without;
        the player turns it off.
        """
        self._unlocked_until_s = time.monotonic() + unlock_ms / 1000
        self._relay_low = False
        try:
            self._relay.on()
        except Exception as error:  # as above
            self._unlocked_until_s = 0.0
            self._lost = _pin_lost(error)
            self._changed.notify()  # the player brings it to rest, whatever it did
            raise DoorLost(self._lost) from None

    def _resting(self) -> bool:
        now_s = time.monotonic()
        return now_s >= self._unlocked_until_s and now_s >= self._rests_from_s and self._relay_low

    def _mend(self) -> None:
        """Set every pin that should be low to low; raises DoorLost when one still cannot be."""
        try:
            if time.monotonic() >= self._unlocked_until_s:
                self._relay.off()
                self._relay_low = True
            for light in (self._green, self._red, self._buzzer):
                light.off()
        except Exception as error:  # as above
            raise DoorLost(_pin_lost(error)) from None
        self._lost = None

    def _play(self) -> None:
        while True:
            with self._changed:
                now_s = time.monotonic()
                unlocked = now_s < self._unlocked_until_s
                step, next_s = _step_at(self._action, self._action_start_s, now_s)
                if unlocked:
                    next_s = min(next_s, self._unlocked_until_s)
                try:
                    if not unlocked and not self._relay_low:
                        self._relay.off()
                        self._relay_low = True
                        self._rests_from_s = time.monotonic() + REST_S
                except Exception as error:  # as above
                    self._lost = _pin_lost(error)
                    next_s = now_s + REST_S  # and again, until it is off
                try:
                    self._set(self._green, step.green)
                    self._set(self._red, step.red)
                    self._set(self._buzzer, step.buzzer)
                except Exception as error:  # as above; the pulse goes on to its end
                    self._lost = _pin_lost(error)
                    self._action = None
                if self._closed:
                    return
                self._changed.wait(None if next_s == _NEVER_S else max(0.0, next_s - now_s))

    def _output(self, pin: int, pin_factory: Any) -> Any:
        """An active-high output that is low from its first moment (initial_value=False)."""
        device = gpiozero.DigitalOutputDevice(pin, initial_value=False, pin_factory=pin_factory)
        self._opened.append(device)
        return device

    def _turn_input(self, pin: int | None, pin_factory: Any) -> Any:
        """A contact to ground (hardware/pins.toml); None where nothing is wired."""
        if pin is None:
            return None
        device = gpiozero.DigitalInputDevice(
            pin, pull_up=True, bounce_time=BOUNCE_S, pin_factory=pin_factory
        )
        self._inputs.append(device)
        return device

    @staticmethod
    def _set(device: Any, level: bool) -> None:
        if bool(device.value) != level:
            device.value = level

    def _close_pins(self) -> None:
        for device in self._opened:
            _quietly(device.off)
            _quietly(device.close)
        self._opened.clear()
        for device in self._inputs:
            _quietly(device.close)
        self._inputs.clear()


class Turns:
    """Counts what one contact does, from gpiozero's thread, until it is asked."""

    def __init__(self, device: Any) -> None:
        """`device`: a gpiozero input, or None: then there is nothing to count."""
        self._lock = threading.Lock()
        self._count = 0
        if device is not None:
            device.when_activated = self._one_more

    def taken(self) -> int:
        """How many since the last call."""
        with self._lock:
            count, self._count = self._count, 0
            return count

    def _one_more(self) -> None:
        with self._lock:
            self._count += 1


_NEVER_S = float("inf")


def _step_at(action: DoorAction | None, start_s: float, now_s: float) -> tuple[Step, float]:
    """The step that holds at `now_s`, and when the next one starts."""
    if action is None:
        return _REST, _NEVER_S
    step = _REST
    for following in action.steps:
        at_s = start_s + following.at_ms / 1000
        if at_s > now_s:
            return step, at_s
        step = following
    return step, _NEVER_S


def _quietly(call: Callable[[], None]) -> None:
    with suppress(Exception):  # a pin that is gone cannot be set, and is not ours any more
        call()


def _pin_lost(error: BaseException) -> str:
    return f"a pin of this door cannot be set any more ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
