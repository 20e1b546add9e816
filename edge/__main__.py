"""`menshen-edge`: run a door, or say what a door would do with a picture."""

import json
import logging
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from edge import assembly, extras, version
from edge.adapters import board, systemd
from edge.adapters.trust import tuf_trust
from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Now, interval
from edge.judge.site_decision import Decision, decide
from edge.judge.verdict import Genuine, Place, TrustState, Verdict, verify
from edge.loop import Loop, Ports
from edge.parts import CameraLost, DoorLost, WorldFailure
from edge.sight.frame import Symbol
from edge.wire import trust as trust_file
from edge.wire import unit as unit_file
from edge.wire.code import TIME_S_MAX
from edge.wire.trust import Trust, TrustError
from edge.wire.unit import ConfigError, UnitConfig

app = typer.Typer(
    help="The unit at a door: it reads a QR code, checks it offline, and opens or says why not.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
version.add_option(app, "menshen-edge")

CAMERA_LOST_S = 30.0
"""After this long a new process is the better try: a camera's driver seldom comes back in one."""

CHECK_S = 1.0
"""How long `check` looks at a picture: there nobody waits at a door."""

UnitFile = Annotated[Path, typer.Argument(help="The unit.toml of this unit's card.")]


def main(command: Callable[[], object] | None = None) -> None:
    """The command's entry: bad input ends in one sentence and exit code 2.

    `command` runs in place of what the command line names.
    """
    # A core would hold frames and who passed, and the watchdog's SIGABRT asks for one.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(format="menshen-edge: %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        (command or app)()
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        print(f"menshen-edge: {extras.sentence(error, 'unit') or error}", file=sys.stderr)
        sys.exit(2)
    except (ConfigError, TrustError, WorldFailure, ImportError) as error:
        print(f"menshen-edge: {error}", file=sys.stderr)
        sys.exit(2)


@app.command()
def run(
    unit_toml: UnitFile = Path("unit.toml"),
    show: Annotated[
        bool, typer.Option(help="Print each decision to this terminal; nothing is written.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.", min=0)] = None,
) -> None:
    """Run the door of UNIT_TOML until it is stopped."""
    serve(unit_file.read(unit_toml), _show if show else None, seconds)


def serve(
    unit: UnitConfig,
    on_decision: Callable[[Verdict, Decision], None] | None = None,
    seconds: float | None = None,
    around: Callable[[Ports], Ports] = lambda world: world,
) -> None:
    """Run the door of `unit` until it is stopped; `around` may put ports of its own before them."""
    if board.bind(Path(unit.state), unit.board, board.serial()):
        logging.getLogger("menshen").info("this card belongs to this board from now on")
    with assembly.open_world(unit) as (opened, trust_state):
        world = around(opened)
        loop = Loop(
            world,
            trust_state,
            assembly.place_of(unit),
            assembly.settings_of(unit),
            random.SystemRandom(),
            on_decision,
        )
        _until_stopped(loop, world, 1 / unit.camera.frames_per_s, seconds)


@app.command()
def look(
    unit_toml: UnitFile = Path("unit.toml"),
    page: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Show it as a page too, on this machine alone unless a HOST is named.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="End after so many seconds.", min=0)] = 900,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document a second for machines.")
    ] = False,
) -> None:
    """Show what the camera of UNIT_TOML sees, to aim and to focus it. The door stays at rest.

    Nothing is written, and what a code says is not shown.
    """
    from edge.adapters.camera.pictures import to_jpeg
    from edge.look import command
    from edge.look.frame_tap import Tee

    unit = unit_file.read(unit_toml)
    if unit.camera.kind == "imager":
        raise ConfigError(
            f"{unit_toml}: an imager gives text and no picture; aim it by its own light and try "
            "menshen-edge run --show"
        )
    if systemd.running():
        raise CameraLost(
            f"the camera is busy: this unit's service runs; sudo systemctl stop {systemd.SERVICE} "
            "first, and start it again afterwards"
        )
    tee = Tee(assembly.open_camera(unit.camera))
    eyes = assembly.open_scanner(unit, tee)
    try:
        command.look(tee, eyes, to_jpeg, seconds, page, as_json)
    finally:
        eyes.close()


@app.command("try")
def try_out(
    unit_toml: UnitFile = Path("unit.toml"),
    relay: Annotated[
        bool, typer.Option("--relay", help="Pulse the relay without asking first.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Watch the inputs for so long.", min=0)] = 120,
) -> None:
    """Try what is wired to the door of UNIT_TOML: each input, each light, the relay.

    Nobody is judged or counted, and nothing is written. Ends with 1 where an input was not seen to
    move.
    """
    from edge import commissioning

    unit = unit_file.read(unit_toml)
    if systemd.running():
        raise DoorLost(
            f"the door is busy: this unit's service runs; sudo systemctl stop {systemd.SERVICE} "
            "first, and start it again afterwards"
        )
    door = assembly.open_door(unit.door)
    try:
        tried = commissioning.Trial(door, unit.door.wired)
        if unit.door.wired and sys.stdin.isatty():
            print("Move each input; Enter goes on.", flush=True)
        tried.watch_inputs(seconds, commissioning.read_enter)
        tried.try_outputs(illuminator=assembly.has_illuminator(unit.door))
        asked = f"Pulse the relay for {unit.door.unlock_ms / 1000:g} s? The lock is released."
        if relay or commissioning.confirm(asked):
            tried.pulse_relay(unit.door.unlock_ms)
        else:
            print("The relay was not tried.")
    finally:
        door.close()
    if tried.unmoved:
        print(f"Not seen to move: {', '.join(tried.unmoved)}. Check each one's cable and its pin.")
        sys.exit(1)
    if unit.door.wired:
        print("Every input that is wired was seen to move.")


@app.command()
def rebind(unit_toml: UnitFile = Path("unit.toml")) -> None:
    """Say that the board was replaced: the card of UNIT_TOML belongs to this one from now on."""
    unit = unit_file.read(unit_toml)
    board.rebind(Path(unit.state), unit.board, board.serial())
    print(f"The card of {unit.site}/{unit.name} belongs to the board {board.serial()} now.")


@app.command()
def check(
    pictures: Annotated[list[Path], typer.Argument(help="Photographs or screenshots.")],
    unit_toml: Annotated[
        Path | None, typer.Option("--unit", help="Judge as this unit would: its unit.toml.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Judge at this time: 2026-11-22T08:00Z or Unix seconds.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document for machines.")
    ] = False,
) -> None:
    """Say for each symbol in PICTURES what a door would do with it, and why."""
    from edge.adapters.camera import pictures as eyes
    from edge.sight import cascade

    unit = unit_file.read(unit_toml) if unit_toml else None
    judge = _judge(unit, Now(interval(_time(at)), 0.0))
    results: list[dict[str, Any]] = []
    wrong = False
    for path in pictures:
        try:
            seen = cascade.read(eyes.read(path), "both", CHECK_S)
            symbols = [judge(symbol) for symbol in seen.symbols]
            results.append({"picture": str(path), "symbols": symbols, "unread": seen.unread})
        except eyes.PictureError as error:
            wrong = True
            results.append({"picture": str(path), "error": str(error)})
    if as_json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    else:
        _print_checked(results, unit)
    if wrong:
        sys.exit(2)


def _judge(unit: UnitConfig | None, now: Now) -> Callable[[Symbol], dict[str, Any]]:
    """What `check` says of a symbol; without a unit nobody's signature is known."""
    if unit is None:
        trust_state = TrustState(Trust(trust_file.Issuers(version=1, signed_s=0, issuers=[])))
        place = Place(frozenset())
    else:
        trust_state = tuf_trust.load(
            Path(unit.trust), Path(unit.state), unit.site, assembly.bundle_reader(unit)
        )
        place = assembly.place_of(unit)

    def judge(symbol: Symbol) -> dict[str, Any]:
        verdict = verify(symbol.data, trust_state, place, now, IssuerFloors())
        answer: dict[str, Any] = {"corners": symbol.corners}
        if verdict is None:
            return answer | {"verdict": "not a door code", "opens": False, "signal": "none"}
        decision = decide(verdict, trust_state.rules, now)
        answer |= {
            "verdict": type(verdict).__name__.lower(),
            "reason": decision.why,
            "opens": decision.opens,
            "people": decision.people,
            "signal": decision.signal.value,
            "counted_as": decision.category,
        }
        if isinstance(verdict, Genuine):
            answer["expires"] = datetime.fromtimestamp(verdict.code.exp_s, UTC).isoformat()
        return answer

    return judge


def _print_checked(results: list[dict[str, Any]], unit: UnitConfig | None) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if unit is None:
        console.print("No unit was named (--unit), so no issuer is known and nothing can open.")
    for picture in results:
        console.print(picture["picture"], style="bold", markup=False)
        if "error" in picture:
            console.print(f"  {picture['error']}", style="red", markup=False)
        elif picture["unread"]:
            console.print("  something looks like a QR symbol and cannot be read: see it sharper")
        elif not picture["symbols"]:
            console.print("  no QR symbol could be read: closer, brighter, sharper")
        for symbol in picture.get("symbols", []):
            if symbol["verdict"] == "not a door code":
                console.print("  a QR symbol that is no door code: the door ignores it")
                continue
            does = "[green]● opens[/]" if symbol["opens"] else "[red]■ stays shut[/]"
            console.print(f"  {does}, for {symbol['verdict']}: {symbol['reason']}")
            console.print(f"    it shows {symbol['signal']}")


def _time(at: str | None) -> float:
    if at is None:
        return time.time()
    try:
        at_s = float(at)
    except ValueError:
        pass
    else:
        if not 0 <= at_s <= TIME_S_MAX:
            raise ConfigError(f"--at {at!r} is not within 1970 and 2106")
        return at_s
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise ConfigError(
            f"--at {at!r} is no time; write 2026-11-22T08:00Z or Unix seconds"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _show(verdict: Verdict, decision: Decision) -> None:
    does = "opens" if decision.opens else "stays shut"
    print(f"{decision.category}: {does}, {decision.why}", flush=True)


def _until_stopped(loop: Loop, world: Ports, tick_s: float, seconds: float | None) -> None:
    """Tick when something was seen, and at the camera's pace; SIGTERM and SIGINT end between two
    ticks.
    """
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    now = world.clock.read()
    started_s = next_s = now.monotonic_s
    systemd.notify("READY=1")
    while not stopped and (seconds is None or now.monotonic_s - started_s < seconds):
        loop.tick()
        systemd.notify("WATCHDOG=1")  # every stage had its turn, or tick() had not returned
        now = world.clock.read()
        if loop.lost_for_s("camera", now) > CAMERA_LOST_S:
            raise CameraLost(
                f"the camera has been lost for {CAMERA_LOST_S:.0f} s; check its cable "
                "(as a service this program starts again by itself)"
            )
        if now.monotonic_s >= next_s:
            next_s = max(next_s + tick_s, now.monotonic_s - 1)  # on a grid, and never far behind
        world.scanner.wait(max(0.0, next_s - now.monotonic_s))


if __name__ == "__main__":
    main()
