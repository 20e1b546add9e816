"""The direct door: lights, buzzer, relay, illuminator and inputs on the Pi's own pins, through
gpiozero on lgpio.

One thread plays actions, so a stalled loop ends nothing late: each action comes to rest by itself.
A hung kernel is beyond software; the one-shot behind the relay pin ends that pulse (hardware/).

Every output is low from its first moment: the chip pulls its pin down from power-on
(edge/wire/unit.py refuses others), lgpio claims it as an output that is low. Between, and after the
end, lgpio leaves the pin without any pull, so the resistor outside holds it (hardware/README.md).
"""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gpiozero

from edge.adapters.door import kept_outputs
from edge.doorway.door_signals import DoorAction, LightStep
from edge.doorway.input_levels import InputLevels
from edge.parts import DoorLost
from edge.threads import TICK_S, Progress, Threads
from edge.wire.door_inputs import INPUTS, Input
from edge.wire.unit import UNLOCK_MS_MAX, DoorPins

log = logging.getLogger("menshen")

REST_S = 0.25
"""How long the relay is off between two pulses, as `firmware/guard.py` has it: the one-shot behind
the pin needs a low level before each edge."""

BOUNCE_S = 0.02
"""A level must hold this long to count: contacts bounce for a few milliseconds, and a turnstile
holds its contact while the arms move, for a tenth of a second and more."""

_REST = LightStep(0, False, False, False)


class GpioDoor:
    """Drives the pins of `pins`. Raises DoorLost, with every pin released, when it cannot."""

    def __init__(
        self,
        pins: DoorPins,
        pin_factory: Any = None,
        sys: Path = kept_outputs.SYS,
        threads: Threads | None = None,
    ) -> None:
        """`pin_factory`: gpiozero's; None takes the one that GPIOZERO_PIN_FACTORY names, or lgpio.
        `sys`: where the kernel shows whether it keeps outputs.
        """
        self._opened: list[Any] = []
        self._inputs: list[Any] = []
        self._factory = _factory() if pin_factory is None else pin_factory
        _refuse_kept(self._factory, sys)
        try:
            self._relay = self._output("relay", pins.relay)  # at rest before all else
            self._green = self._output("green", pins.green)
            self._red = self._output("red", pins.red)
            self._buzzer = self._output("buzzer", pins.buzzer)
            self._illuminator = (
                None if pins.illuminator is None else self._output("illuminator", pins.illuminator)
            )
            self._turns_in = TurnCounter(self._input("turn", pins.turn))
            self._turns_out = TurnCounter(self._input("turn_out", pins.turn_out))
            wired = [(name, getattr(pins, name)) for name, row in INPUTS.items() if not row.turns]
            self._levels = {name: self._level(name, pin) for name, pin in wired if pin is not None}
        except DoorLost:
            self._close_pins()
            raise
        self._changed = threading.Condition()
        self._action: DoorAction | None = None
        self._action_start_s = 0.0
        self._unlocked_until_s = 0.0
        self._rests_from_s = 0.0
        self._relay_low = True  # as far as we could set it
        self._lost: str | None = None
        self._closed = False
        self._player = (threads or Threads()).start("door", self._play)

    def apply(self, action: DoorAction) -> None:
        """Start `action` in place of the one that runs; a pulse that runs is left to its end."""
        with self._changed:
            may = 0 < action.unlock_ms <= UNLOCK_MS_MAX and self._resting()
            if may:  # the last word: nothing else turns the relay on
                self._pulse(action.unlock_ms)
            self._action, self._action_start_s = action, time.monotonic()
            self._changed.notify()

    def settle(self) -> bool:
        """Whether the relay has been off for REST_S: the one-shot needs a low level before each
        edge.

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

    def take_turns(self) -> tuple[int, int]:
        """Turns in and out since the last call."""
        return self._turns_in.take(), self._turns_out.take()

    def read_inputs(self) -> InputLevels:
        """The inputs now. Raises DoorLost."""
        now_s = time.monotonic()
        try:
            return InputLevels({name: level.take(now_s) for name, level in self._levels.items()})
        except Exception as error:  # each backend has classes of its own (lgpio.error)
            raise DoorLost(
                f"a pin of this door cannot be read any more ({_first_line(error)})"
            ) from None

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

    def _play(self, progress: Progress) -> None:
        try:
            self._play_on(progress)
        finally:  # whatever went wrong: no pulse outlives the thread that ends it
            _quietly(self._relay.off)

    def _play_on(self, progress: Progress) -> None:
        while True:
            progress.tick()
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
                self._changed.wait(min(TICK_S, max(0.0, next_s - now_s)))

    def _output(self, use: str, pin: int) -> Any:
        """An active-high output that is low from its first moment (initial_value=False)."""
        device = self._made(
            use,
            pin,
            lambda: gpiozero.DigitalOutputDevice(
                pin, initial_value=False, pin_factory=self._factory
            ),
        )
        self._opened.append(device)
        return device

    def _input(self, use: str, pin: int | None) -> Any:
        """A contact to ground, active while it is closed; None where nothing is wired."""
        if pin is None:
            return None
        device = self._made(
            use,
            pin,
            lambda: gpiozero.DigitalInputDevice(
                pin, pull_up=True, bounce_time=BOUNCE_S, pin_factory=self._factory
            ),
        )
        self._inputs.append(device)
        return device

    def _level(self, name: Input, pin: int) -> "InputPin":
        return InputPin(self._input(name, pin), INPUTS[name].rests_closed)

    def _made(self, use: str, pin: int, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Exception as error:  # each backend has classes of its own (lgpio.error)
            raise DoorLost(_cannot_have(use, pin, self._factory, error)) from None

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


class IlluminatorPin:
    """The illuminator alone, where a controller drives the door."""

    def __init__(self, pin: int, pin_factory: Any = None) -> None:
        """`pin_factory`: as of GpioDoor. Raises DoorLost where the pin cannot be had."""
        factory = _factory() if pin_factory is None else pin_factory
        self._lock = threading.Lock()
        try:
            self._pin = gpiozero.DigitalOutputDevice(pin, initial_value=False, pin_factory=factory)
        except Exception as error:  # each backend has classes of its own (lgpio.error)
            raise DoorLost(_cannot_have("illuminator", pin, factory, error)) from None

    def light(self, on: bool) -> None:
        """On or off. Raises DoorLost."""
        with self._lock:
            try:
                if bool(self._pin.value) != on:
                    self._pin.value = on
            except Exception as error:  # as above
                raise DoorLost(_pin_lost(error)) from None

    def close(self) -> None:
        """Dark; safe to call twice."""
        _quietly(self._pin.off)
        _quietly(self._pin.close)


class TurnCounter:
    """Counts what one contact does, from gpiozero's thread, until it is asked."""

    def __init__(self, device: Any) -> None:
        """`device`: a gpiozero input, or None: then there is nothing to count."""
        self._lock = threading.Lock()
        self._count = 0
        if device is not None:
            device.when_activated = self._one_more

    def take(self) -> int:
        """How many since the last call."""
        with self._lock:
            count, self._count = self._count, 0
            return count

    def _one_more(self) -> None:
        with self._lock:
            self._count += 1


class InputPin:
    """One contact's level, debounced: from gpiozero's edges and by reading the pin.

    The kernel reports edges that held for BOUNCE_S. Reading finds what no edge reported: a level
    that two looks find, at least BOUNCE_S apart and no other between them.
    """

    def __init__(self, device: Any, yes_is_high: bool) -> None:
        """`device`: a gpiozero input pulled up, active while low.

        `yes_is_high`: a loop that is closed to ground at rest, so that a cut cable reads as yes
        (hardware/pins.toml, `active`).
        """
        self._lock = threading.Lock()
        self._device = device
        self._yes_is_high = yes_is_high
        self._yes = False
        self._was = False  # for a moment since it was asked
        self._differs_since_s: float | None = None
        self._yes = self._look()
        device.when_activated = lambda: self._edge(not yes_is_high)
        device.when_deactivated = lambda: self._edge(yes_is_high)

    def take(self, now_s: float) -> bool:
        """Whether it is yes now, or was since the last call.

        `now_s`: monotonic seconds. Raises what the device raises.
        """
        with self._lock:
            if self._look() == self._yes:
                self._differs_since_s = None
            elif self._differs_since_s is None:
                self._differs_since_s = now_s
            elif now_s - self._differs_since_s >= BOUNCE_S:
                self._turned(not self._yes)
            level, self._was = self._yes or self._was, False
            return level

    def _edge(self, yes: bool) -> None:
        with self._lock:
            self._turned(yes)

    def _turned(self, yes: bool) -> None:
        self._yes = yes
        self._was = self._was or yes
        self._differs_since_s = None

    def _look(self) -> bool:
        return bool(self._device.value) != self._yes_is_high


_NEVER_S = float("inf")


def _step_at(action: DoorAction | None, start_s: float, now_s: float) -> tuple[LightStep, float]:
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


def _factory() -> Any:
    """gpiozero's pins by the kernel's own interface, through lgpio. None of gpiozero's fallbacks:
    they write to the chip behind the kernel's back, where nobody gives a dead program's pins back.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if gpiozero.Device.pin_factory is None and "GPIOZERO_PIN_FACTORY" not in os.environ:
                from gpiozero.pins.lgpio import LGPIOFactory

                gpiozero.Device.pin_factory = LGPIOFactory()
            gpiozero.Device.ensure_pin_factory()
    except ImportError as error:
        raise DoorLost(
            f"this door's pins need lgpio ({_first_line(error)}); "
            "pip install lgpio into the unit's environment"
        ) from None
    except Exception as error:  # each backend has classes of its own (lgpio.error)
        raise DoorLost(_no_chip(Path("/dev"), error)) from None
    return gpiozero.Device.pin_factory


def _refuse_kept(factory: Any, sys: Path) -> None:
    """Only of the kernel's own pins: other pins of gpiozero's are none that a kernel keeps."""
    if type(factory).__module__ != "gpiozero.pins.lgpio":
        return
    kept = kept_outputs.are_kept(factory.chip, sys)
    if kept:
        raise DoorLost(
            "this kernel leaves the relay on when the program dies in mid-pulse "
            f"(persist_gpio_outputs=Y), so it is not driven; {kept_outputs.CURE}"
        )
    if kept is None:
        log.warning(
            "this kernel does not say whether it leaves a dead program's relay on; "
            "only the one-shot behind the pin is sure to end that pulse"
        )


def _no_chip(dev: Path, error: BaseException) -> str:
    """Why gpiozero has no pins at all."""
    if ".lgd-nfy" in str(error):
        return (
            "lgpio cannot make the pipe for its events in this folder; start in one that this user "
            "may write to, or name one: LG_WD=/tmp menshen-edge …"
        )
    chips = sorted(dev.glob("gpiochip*"))
    if not chips:
        return (
            f"there is no {dev}/gpiochip here, so this door has no pins; "
            "run on a Raspberry Pi, or give the unit a controller"
        )
    if not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        return (
            f"this user may not use {chips[0]}; "
            "make it a member of the group gpio (sudo usermod -aG gpio NAME) and log in again"
        )
    return (
        f"the pins of this machine cannot be used ({_first_line(error)}); "
        "run on a Raspberry Pi, whose boards gpiozero knows"
    )


def _cannot_have(use: str, pin: int, factory: Any, error: BaseException) -> str:
    """Why this one pin cannot be had."""
    if isinstance(error, gpiozero.PinInvalidPin):
        model = getattr(getattr(factory, "board_info", None), "model", "?")
        return (
            f"this board (model {model}) has no pin {pin}, which unit.toml names for {use}; "
            "take one of hardware/pins.toml"
        )
    reason = _first_line(error)
    if isinstance(error, gpiozero.GPIOPinInUse) or "busy" in reason.lower():
        return (
            f"pin {pin}, which unit.toml names for {use}, is in use by another program or by the "
            "kernel; see by which with gpioinfo, and end that or take its line out of config.txt"
        )
    return f"pin {pin} of this door, {use}, cannot be had ({reason}); see that nothing else uses it"


def _pin_lost(error: BaseException) -> str:
    return f"a pin of this door cannot be set any more ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
