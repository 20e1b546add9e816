"""`menshen-edge`: runs a door, tests it, or tells what it would do with a picture."""

import json
import logging
import random
import resource
import signal
import sys
import threading
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
from edge.threads import Threads
from edge.wire import trust as trust_file
from edge.wire import unit as unit_file
from edge.wire.code import TIME_S_MAX
from edge.wire.trust import Trust, TrustError
from edge.wire.unit import ConfigError, UnitConfig

app = typer.Typer(
    help="The unit at a door: it reads a QR code, verifies it offline, and opens or shows why not.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
version.add_option(app, "menshen-edge")

CHECK_S = 1.0
"""How long `check` may work on a picture; longer than at a door, where somebody waits."""

UnitFile = Annotated[Path, typer.Argument(help="The unit.toml of this unit's card.")]


def main(command: Callable[[], object] | None = None) -> None:
    """The entry point. Bad input gives one sentence and exit code 2.

    `command` runs in place of the command that the command line names.
    """
    # A core dump would contain frames and who passed; the watchdog's SIGABRT would write one.
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
    """Run the door of `unit` until it is stopped; `around` may wrap or replace its ports."""
    if board.bind(Path(unit.state), unit.board, board.serial()):
        logging.getLogger("menshen").info("this card belongs to this board from now on")
    threads = Threads()
    threading.excepthook = threads.note_uncaught
    with assembly.open_world(unit, threads) as (ports, trust_state):
        world = around(ports)
        loop = Loop(
            world,
            trust_state,
            assembly.place_of(unit),
            assembly.settings_of(unit),
            random.SystemRandom(),
            on_decision,
        )
        _until_stopped(loop, world, threads, 1 / unit.camera.frames_per_s, seconds)


@app.command()
def look(
    unit_toml: UnitFile = Path("unit.toml"),
    page: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Also show it as a web page; on this machine only, unless a HOST is named.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="End after so many seconds.", min=0)] = 900,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a second.")
    ] = False,
) -> None:
    """Show what the camera of UNIT_TOML sees, to aim and focus it. The door is not opened.

    Nothing is written to disk, and the content of codes is not shown.
    """
    from edge.adapters.camera.pictures import to_jpeg
    from edge.look import command
    from edge.look.frame_tap import Tee

    unit = unit_file.read(unit_toml)
    if unit.camera.kind == "imager":
        raise ConfigError(
            f"{unit_toml}: an imager gives text and no pictures; aim it by its own light and use "
            "menshen-edge run --show"
        )
    if systemd.running():
        raise CameraLost(
            "the camera is busy: this unit's service is running; stop it first with sudo systemctl "
            f"stop {systemd.SERVICE}, and start it again afterwards"
        )
    tee = Tee(assembly.open_camera(unit.camera))
    scanner = assembly.open_scanner(unit, tee)
    try:
        command.look(tee, scanner, to_jpeg, seconds, page, as_json)
    finally:
        scanner.close()


@app.command("try")
def try_out(
    unit_toml: UnitFile = Path("unit.toml"),
    relay: Annotated[
        bool, typer.Option("--relay", help="Pulse the relay without asking first.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(help="How many seconds to watch the inputs.", min=0)
    ] = 120,
) -> None:
    """Test what is wired to the door of UNIT_TOML: each input, each light, the relay.

    No code is judged or counted, and nothing is written to disk. The exit code is 1 if an input
    was not seen to move.
    """
    from edge import commissioning

    unit = unit_file.read(unit_toml)
    if systemd.running():
        raise DoorLost(
            "the door is busy: this unit's service is running; stop it first with sudo systemctl "
            f"stop {systemd.SERVICE}, and start it again afterwards"
        )
    door = assembly.open_door(unit.door)
    try:
        trial = commissioning.Trial(door, unit.door.wired)
        if unit.door.wired and sys.stdin.isatty():
            print("Move each input; press Enter to continue.", flush=True)
        trial.watch_inputs(seconds, commissioning.read_enter)
        trial.try_outputs(illuminator=assembly.has_illuminator(unit.door))
        question = f"Pulse the relay for {unit.door.unlock_ms / 1000:g} s? The lock is released."
        if relay or commissioning.confirm(question):
            trial.pulse_relay(unit.door.unlock_ms)
        else:
            print("The relay was not tried.")
    finally:
        door.close()
    if trial.unmoved:
        print(f"Not seen to move: {', '.join(trial.unmoved)}. Check each one's cable and its pin.")
        sys.exit(1)
    if unit.door.wired:
        print("Every input that is wired was seen to move.")


@app.command()
def rebind(unit_toml: UnitFile = Path("unit.toml")) -> None:
    """Bind the card of UNIT_TOML to this board, after the old board was replaced."""
    unit = unit_file.read(unit_toml)
    board.rebind(Path(unit.state), unit.board, board.serial())
    print(f"The card of {unit.site}/{unit.name} now belongs to the board {board.serial()}.")


@app.command()
def check(
    pictures: Annotated[list[Path], typer.Argument(help="Photographs or screenshots.")],
    unit_toml: Annotated[
        Path | None,
        typer.Option("--unit", help="Judge as this unit would; the path of its unit.toml."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Judge at this time: 2026-11-22T08:00Z or Unix seconds.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print for each symbol in PICTURES what a door would do with it, and why."""
    from edge.adapters.camera import pictures as picture_files
    from edge.sight import cascade

    unit = unit_file.read(unit_toml) if unit_toml else None
    judge = _judge(unit, Now(interval(_time(at)), 0.0))
    results: list[dict[str, Any]] = []
    has_failed = False
    for path in pictures:
        try:
            reading = cascade.read(picture_files.read(path), "both", CHECK_S)
            symbols = [judge(symbol) for symbol in reading.symbols]
            results.append({"picture": str(path), "symbols": symbols, "unread": reading.unread})
        except picture_files.PictureError as error:
            has_failed = True
            results.append({"picture": str(path), "error": str(error)})
    if as_json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    else:
        _print_checked(results, unit)
    if has_failed:
        sys.exit(2)


def _judge(unit: UnitConfig | None, now: Now) -> Callable[[Symbol], dict[str, Any]]:
    """A function that judges a symbol for `check`. Without a unit no issuer is known."""
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
        row: dict[str, Any] = {"corners": symbol.corners}
        if verdict is None:
            return row | {"verdict": "not a door code", "opens": False, "signal": "none"}
        decision = decide(verdict, trust_state.rules, now)
        row |= {
            "verdict": type(verdict).__name__.lower(),
            "reason": decision.why,
            "opens": decision.opens,
            "people": decision.people,
            "signal": decision.signal.value,
            "counted_as": decision.category,
        }
        if isinstance(verdict, Genuine):
            row["expires"] = datetime.fromtimestamp(verdict.code.exp_s, UTC).isoformat()
        return row

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
            console.print(
                "  something looks like a QR symbol and cannot be read: take a sharper picture"
            )
        elif not picture["symbols"]:
            console.print(
                "  no QR symbol was found: take a picture that is closer, brighter or sharper"
            )
        for symbol in picture.get("symbols", []):
            if symbol["verdict"] == "not a door code":
                console.print("  a QR symbol that is not a door code: the door ignores it")
                continue
            action = "[green]● opens[/]" if symbol["opens"] else "[red]■ stays shut[/]"
            console.print(f"  {action}, for {symbol['verdict']}: {symbol['reason']}")
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
            raise ConfigError(f"--at {at!r} is not between 1970 and 2106")
        return at_s
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise ConfigError(
            f"--at {at!r} is not a time; write 2026-11-22T08:00Z or Unix seconds"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _show(verdict: Verdict, decision: Decision) -> None:
    action = "opens" if decision.opens else "stays shut"
    print(f"{decision.category}: {action}, {decision.why}", flush=True)


def _until_stopped(
    loop: Loop, world: Ports, threads: Threads, tick_s: float, seconds: float | None
) -> None:
    """Tick at the camera's frame rate, and at once for each new sighting. SIGTERM, SIGINT and
    SIGHUP end the program between two ticks.
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
        threads.check()
        systemd.notify("WATCHDOG=1")  # every stage and every thread has made progress
        now = world.clock.read()
        if now.monotonic_s >= next_s:
            next_s = max(next_s + tick_s, now.monotonic_s - 1)  # on a grid, at most 1 s behind
        world.scanner.wait(max(0.0, next_s - now.monotonic_s))


if __name__ == "__main__":
    main()
