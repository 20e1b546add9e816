"""What `make` prints while it sets up: one line a step with its time, one sentence where one fails.

The scripts of .ci/ are the real ones; apt, dpkg and pip are stood in for by programs on the PATH.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.system
CI = ROOT / ".ci"
LISTS = sorted([*CI.glob("apt-*"), *CI.glob("trixie-*")])

TOOLS = [
    "basename",
    "cat",
    "cp",
    "dirname",
    "env",
    "flock",
    "grep",
    "mkdir",
    "sed",
    "sh",
    "sleep",
    "tail",
]
NOISE = "debconf: delaying package configuration, since apt-utils is not installed"


class Machine:
    """A folder to set up in, and what is on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "programs"
        self._programs.mkdir()
        for name in TOOLS:
            (self._programs / name).symlink_to(Path("/usr/bin") / name)

    def program(self, name: str, script: str) -> None:
        """A program that everybody here finds by its name."""
        path = self._programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """One of .ci/'s scripts."""
        return subprocess.run(
            [str(CI / script), *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": str(self._programs), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def log(self, name: str) -> str:
        return (self.folder / ".cache" / "log" / f"{name}.log").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.program("dpkg-query", 'test -e "$HOME/installed" && echo "install ok installed"')
    made.program("id", "echo 0")
    made.program("apt-get", f'echo "{NOISE}" >&2; echo "$*"; >"$HOME/installed"')
    return made


def fails_in_one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("list_file", LISTS, ids=lambda path: path.name)
def test_every_list_begins_with_the_line_that_is_printed_and_its_time(list_file: Path) -> None:
    first = list_file.read_text().splitlines()[0]
    assert re.fullmatch(r"# \S.+ \([^()]*(second|minute)s?\)", first), first


def test_each_step_of_the_makefile_names_its_time() -> None:
    steps = re.findall(r'\.ci/step \S+ "([^"]*)"', (ROOT / "Makefile").read_text())
    assert len(steps) >= 3
    for step in steps:
        assert re.fullmatch(r".+ \([^()]*(second|minute)s?\)", step), step


@pytest.mark.parametrize("list_file", [p for p in LISTS if p.name.startswith("apt-")], ids=str)
def test_packages_are_one_line_and_their_noise_is_in_the_log(
    list_file: Path, machine: Machine
) -> None:
    done = machine.run("apt", list_file)
    assert done.returncode == 0, done.stderr
    assert done.stdout == list_file.read_text().splitlines()[0].removeprefix("# ") + "\n"
    assert done.stderr == ""
    assert NOISE in machine.log(list_file.name)
    again = machine.run("apt", list_file)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_every_package_that_is_missing_is_asked_for_and_nobody_answers_questions(
    machine: Machine,
) -> None:
    machine.program("apt-get", 'echo "$DEBIAN_FRONTEND $DEBCONF_NOWARNINGS $*"')
    machine.run("apt", CI / "apt-demo")
    wanted = "noninteractive yes install .* libzbar0 mosquitto\n"
    assert re.search(wanted, machine.log("apt-demo"))


def test_packages_that_cannot_be_installed_are_one_sentence(machine: Machine) -> None:
    machine.program("sleep", ":")
    machine.program("apt-get", 'echo "E: Unable to locate package" >&2; exit 100')
    done = machine.run("apt", CI / "apt-demo")
    sentence = fails_in_one_sentence(done)
    assert sentence.startswith("Failed: Debian packages for the demo: zbar for pyzbar, the broker.")
    assert ".cache/log/apt-demo.log" in sentence
    assert "E: Unable to locate package" in done.stderr


def test_a_failure_that_passes_is_tried_once_more(machine: Machine) -> None:
    machine.program("sleep", ":")
    machine.program(
        "apt-get",
        'case "$*" in update*) exit 0 ;; esac\n'
        'test -e "$HOME/tried" || { : >"$HOME/tried"; exit 100; }\n: >"$HOME/installed"',
    )
    assert machine.run("apt", CI / "apt-demo").returncode == 0


def test_without_root_and_sudo_it_says_who_can(machine: Machine) -> None:
    machine.program("id", "echo 1000")
    sentence = fails_in_one_sentence(machine.run("apt", CI / "apt-demo"))
    assert "apt-get install libzbar0 mosquitto" in sentence


def test_a_step_that_fails_shows_its_end_and_where_all_of_it_is(machine: Machine) -> None:
    machine.program("noisy", "for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done; exit 7")
    done = machine.run("step", "it", "Something (10 seconds)", "noisy")
    assert done.stdout == "Something (10 seconds)\n"
    shown = done.stderr.splitlines()
    assert shown[:-1] == [f"line {n}" for n in range(5, 10)]
    assert fails_in_one_sentence(done).startswith("Failed: Something. ")
    assert machine.log("it").splitlines()[0] == "line 1"


def test_a_step_whose_program_is_missing_fails_too(machine: Machine) -> None:
    assert "Failed: Something" in fails_in_one_sentence(
        machine.run("step", "it", "Something (1 second)", "no-such-program")
    )


def test_python_packages_come_into_their_own_folder_alone(machine: Machine) -> None:
    machine.program("python", 'mkdir -p "$4/bin"; cp "$HOME/inner" "$4/bin/python"')
    (machine.folder / "inner").write_text('#!/bin/sh\necho "$*"\n')
    (machine.folder / "inner").chmod(0o755)
    done = machine.run("step", "python", "Python (1 second)", CI / "python", "place", "python")
    assert done.returncode == 0, machine.log("python")
    installed = machine.log("python").splitlines()
    assert installed[0].endswith("-r requirements.lock")
    assert installed[1].endswith("-e .")
    assert (machine.folder / "place" / "bin" / "python").exists()


def test_python_packages_that_cannot_be_had_stop_the_set_up(machine: Machine) -> None:
    (machine.folder / "place" / "bin").mkdir(parents=True)
    inner = machine.folder / "place" / "bin" / "python"
    inner.write_text("#!/bin/sh\necho no index >&2\nexit 1\n")
    inner.chmod(0o755)
    done = machine.run("step", "python", "Python (1 second)", CI / "python", "place", "python")
    assert "no index" in done.stderr
    assert "Failed: Python" in fails_in_one_sentence(done)
