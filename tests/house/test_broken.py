"""The loop broken on purpose: each time some test must notice, or the tests prove nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import ROOT

LOOP = (  # the quick ones first: the first failure ends a run
    "edge/judge/test_decision.py",
    "edge/test_stages.py",
    "edge/wire/test_rules.py",
    "edge/test_promises.py",
    "edge/test_street.py",
)
OWN = {
    "edge/adapters/door/gpio.py": "edge/adapters/door/test_gpio.py",
    "edge/doorway/alarms.py": "edge/doorway/test_alarms.py",
}
"""What a part's own tests must notice, without the street's."""

HEARD = (  # what the loop makes of what the doorway says: its tests notice
    "beeps over a person's signal",
    "judges behind a latched door",
    "tells an alarm a minute late",
    "moves the regular message for an alarm",
)

BROKEN = {  # what is broken: the file, what it says, what it says then
    "answers a code in view again and again": (
        "edge/loop.py",
        "if self._in_view.still(verdict.subject, decision.why, now.monotonic_s):",
        "if False:",
    ),
    "opens before the opening is counted": (
        "edge/loop.py",
        "        self._world.store.count(cell)\n",
        "        self._world.door.apply(signals.action(decision.signal, 3000 * decision.opens))\n"
        "        self._world.store.count(cell)\n",
    ),
    "opens for every decision": (
        "edge/loop.py",
        "if decision.opens and not isinstance(verdict, Refused):",
        "if not isinstance(verdict, Refused):",
    ),
    "forgets who has passed": (
        "edge/loop.py",
        "            self._lane.keep(opening)\n",
        "            pass\n",
    ),
    "remembers who has passed only as long as the program runs": (
        "edge/loop.py",
        "self._world.memory.save(self._lane.saved(opening))",
        "pass",
    ),
    "forgets what it has counted": ("edge/loop.py", "        self._tally.keep(cell)\n", ""),
    "closes cells and keeps none": (
        "edge/loop.py",
        "            self._world.store.close_cells(closed)\n",
        "            pass\n",
    ),
    "pulses while a pulse runs": (
        "edge/loop.py",
        "if not self._world.door.resting():",
        "if False:",
    ),
    "takes a poster for a code": (
        "edge/loop.py",
        "        if verdict is None:",
        "        if verdict is None:\n"
        "            self._world.door.apply(signals.action(Signal.REFUSED))\n"
        "        if verdict is None:",
    ),
    "hides a fault": (
        "edge/loop.py",
        "            self._display.show_not_ready(at_s)\n",
        "            pass\n",
    ),
    "reports when somebody has passed": (
        "edge/loop.py",
        "        self._tally.keep(cell)\n",
        "        self._tally.keep(cell)\n        self._reporter._counts_due_s = now.monotonic_s\n",
    ),
    "believes any acknowledgement": (
        "edge/wire/report.py",
        "_decode(envelope.verify(data, ACK_KIND, collector), Ack)",
        "_decode(__import__('base64').b64decode(msgspec.json.decode(data)['payload']), Ack)",
    ),
    "never looks at the acknowledgements": (
        "edge/report/reporter.py",
        "                self._take_ack(payload)\n",
        "                pass\n",
    ),
    "stops at the first failure of the camera": (
        "edge/loop.py",
        "except WorldFailure as failure:\n                self._failures.note(",
        "except StoreLost as failure:\n                self._failures.note(",
    ),
    "opens for yellow": (
        "edge/judge/decision.py",
        "if verdict.colour not in rules.opens:",
        "if verdict.colour > 2:",
    ),
    "lets a suspended company in": (
        "edge/judge/decision.py",
        "if rules.suspends(said.scope, verdict.issuer):",
        "if False:",
    ),
    "opens at any hour": ("edge/judge/decision.py", "if in_hours is False:", "if False:"),
    "lets one too many in": (
        "edge/judge/decision.py",
        "inside + said.party > rules.inside_max",
        "inside > rules.inside_max",
    ),
    "opens for whoever it is unsure of": (
        "edge/judge/decision.py",
        "return replace(sure, category=category, why=why) if sure.opens else sure",
        "return Decision(True, 1, Signal.OPEN, category, why)",
    ),
    "is sure of the hour when it is not": (
        "edge/wire/hours.py",
        "if from_s <= earliest_s and latest_s < until_s:",
        "if from_s <= earliest_s < until_s:",
    ),
    "takes anybody's word for a grant": (
        "edge/wire/rules.py",
        "if not way.issuers or issuer in way.issuers",
        "if True",
    ),
    "lets the lights of one action end another's pulse": (
        "edge/adapters/door/gpio.py",
        "unlocked = now_s < self._unlocked_until_s",
        "unlocked = now_s < self._unlocked_until_s and self._action.unlock_ms > 0",
    ),
    "forgets a press between two looks": (
        "edge/adapters/door/gpio.py",
        "        self._was = self._was or yes\n",
        "",
    ),
    "reads a contact the wrong way round": (
        "edge/adapters/door/gpio.py",
        "bool(self._device.value) != self._yes_is_high",
        "bool(self._device.value) == self._yes_is_high",
    ),
    "believes a contact that bounces": (
        "edge/adapters/door/gpio.py",
        "elif now_s - self._differs_since_s >= BOUNCE_S:",
        "else:",
    ),
    "drives a relay that the kernel leaves on": (
        "edge/adapters/door/gpio.py",
        "    if kept:\n",
        "    if False:\n",
    ),
    "lights up while it starts": (
        "edge/adapters/door/gpio.py",
        "pin, initial_value=False, pin_factory=self._factory",
        "pin, initial_value=True, pin_factory=self._factory",
    ),
    "calls a passage forced": (
        "edge/doorway/alarms.py",
        "max(self._excused_until_s, until_s + GRACE_S)",
        "self._excused_until_s",
    ),
    "calls a request to exit forced": (
        "edge/doorway/alarms.py",
        "        if inputs.exit:\n",
        "        if False:\n",
    ),
    "calls what it found open forced": (
        "edge/doorway/alarms.py",
        "if inputs is None or inputs.open is None or self._first:",
        "if False:",
    ),
    "calls each way out by the handle forced": (
        "edge/doorway/alarms.py",
        "inputs.exit is not None and self._leaf.forced(at_s)",
        "self._leaf.forced(at_s)",
    ),
    "tells of no forced door": (
        "edge/doorway/alarms.py",
        "return self.closed_s is None and self._settled(at_s) and not self.excused",
        "return False",
    ),
    "beeps during a fire": (
        "edge/doorway/alarms.py",
        "        if inputs.fire:",
        "        if False:",
    ),
    "beeps over a person's signal": (
        "edge/loop.py",
        "elif self._watch.remind and not self._display.is_busy(at_s):",
        "elif self._watch.remind:",
    ),
    "judges behind a latched door": (
        "edge/loop.py",
        "        if self._watch.latched:  # nobody is judged",
        "        if False:  # nobody is judged",
    ),
    "tells an alarm a minute late": (
        "edge/report/reporter.py",
        "if due or status.alarms != self._alarms_sent:",
        "if due:",
    ),
    "moves the regular message for an alarm": (
        "edge/report/reporter.py",
        "due = now.monotonic_s >= self._health_due_s\n",
        "due = now.monotonic_s >= self._health_due_s or status.alarms != self._alarms_sent\n",
    ),
}


Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    """Every run of the tests, as many at a time as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            how: pool.submit(run, how, tmp_path_factory.mktemp("broken"))
            for how in ("is whole", *BROKEN)
        }


def run(how: str, folder: Path) -> Ran:
    """The tests over a copy of the house that is broken in this way."""
    name, says, then = BROKEN.get(how, ("edge/loop.py", "class Loop:", "class Loop:"))
    for part in ("edge", "tests", "firmware", "hardware"):
        ignore = shutil.ignore_patterns("__pycache__", "vectors")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    source = (folder / name).read_text()
    assert source.count(says) == 1, f"{name} does not say this once any more"
    (folder / name).write_text(source.replace(says, then))
    if how not in BROKEN:
        asked = (*LOOP, *OWN.values())
    elif how in HEARD:
        asked = ("edge/doorway/test_alarms.py",)
    else:
        asked = (OWN[name],) if name in OWN else LOOP
    tests = [f"tests/{test}" for test in asked]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("how", ["is whole", *BROKEN])
def test_some_test_notices(how: str, runs: dict[str, Future[Ran]]) -> None:
    ran = runs[how].result()
    if how not in BROKEN:
        assert ran.returncode == 0, f"these tests notice what is not broken:\n{ran.stdout[-2000:]}"
        return
    # 0: nobody noticed; 2: it does not even import, which proves nothing.
    assert ran.returncode == 1, f"nobody noticed a loop that {how}:\n{ran.stdout[-2000:]}"
