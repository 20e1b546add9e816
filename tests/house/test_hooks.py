"""The hooks that `make hooks` installs: the real pre-commit in a repository of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import ROOT

pytestmark = pytest.mark.system
CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())


class HookedRepository:
    """A clone in which both hooks are installed, and nothing can be downloaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        (self.folder / ".ci").mkdir(parents=True)
        (folder / "home").mkdir()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
            "SKIP": "mypy",  # its packages are not here; `make check` runs the same command
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }
        for name in (".pre-commit-config.yaml", ".ci/commit_subject.py", "Makefile"):
            shutil.copy(ROOT / name, self.folder / name)
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        (self.folder / ".venv").symlink_to(sys.prefix)
        (self.folder / ".gitignore").write_text(".venv\n__pycache__/\n")
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.run("git", "add", ".")
        self.run("git", "commit", "--quiet", "-m", "before the hooks", check=True)
        self.run(".venv/bin/pre-commit", "install", check=True)

    def run(self, *line: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            line,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def commit(self, message: str, *arguments: str) -> str | None:
        """None where the commit is made, or else what was printed."""
        done = self.run("git", "commit", "--quiet", "-m", message, *arguments)
        return done.stdout + done.stderr if done.returncode else None

    def write(self, text: str) -> None:
        (self.folder / "code.py").write_text(text)
        self.run("git", "add", "code.py", check=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> HookedRepository:
    return HookedRepository(tmp_path_factory.mktemp("hooks"))


@pytest.mark.parametrize(
    "subject",
    [
        "wire: refuse a tag of 25 bytes",
        "edge/wire: " + "x" * 49,
        "README: 门神",
        "release: 0.2.0",
        "Merge branch 'a branch whose name is far longer than any subject may be at all'",
        'Revert "wire: a subject that git has made longer than sixty characters."',
        "fixup! anything",
        "squash! anything",
    ],
)
def test_a_good_subject_is_committed(subject: str, clone: HookedRepository) -> None:
    assert clone.commit(subject, "--allow-empty") is None
    assert clone.run("git", "log", "-1", "--format=%s").stdout == subject + "\n"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("No area at all", "it must be `area: what`"),
        ("wire:no space", "it must be `area: what`"),
        ("two words: what", "it must be `area: what`"),
        ("wire: ", "it must be `area: what`"),
        ("edge/wire: " + "x" * 50, "it has 61 characters"),
        ("wire: it ends.", "must not end with a full stop"),
    ],
)
def test_a_bad_subject_is_refused(subject: str, reason: str, clone: HookedRepository) -> None:
    before = clone.run("git", "rev-parse", "HEAD").stdout
    printed = clone.commit(subject, "--allow-empty")
    assert printed is not None
    assert reason in printed
    assert clone.run("git", "rev-parse", "HEAD").stdout == before


def test_the_body_and_gits_comments_are_free(clone: HookedRepository) -> None:
    body = "A body may be long and end as it likes, with a full stop for instance. " * 3
    assert clone.commit(f"wire: why\n\n{body}", "--allow-empty") is None
    message = clone.folder.parent / "message"
    message.write_text("# a comment of git's\n\nwire: what\n# another one.\n")
    clone.run("git", "commit", "--allow-empty", "--cleanup=strip", "-F", str(message), check=True)


def test_code_is_formatted_and_checked_before_a_commit(clone: HookedRepository) -> None:
    clone.write("x  =  1\n")
    printed = clone.commit("code: a bad format")
    assert printed is not None
    assert "ruff format" in printed
    assert (clone.folder / "code.py").read_text() == "x = 1\n"

    clone.write("import os\n")
    printed = clone.commit("code: an import without use")
    assert printed is not None
    assert "F401" in printed

    clone.write("x = 1\n")
    assert clone.commit("code: as it should be") is None


def test_the_hooks_run_what_make_check_runs_and_download_nothing() -> None:
    (local,) = CONFIG["repos"]
    assert local["repo"] == "local"
    assert all(hook["language"] == "system" for hook in local["hooks"])
    makefile = (ROOT / "Makefile").read_text()
    commands = {hook["id"]: hook["entry"] for hook in local["hooks"]}
    for command in ("ruff-format", "ruff-check", "mypy"):
        tool = commands[command].removeprefix(".venv/bin/").removesuffix(" --force-exclude")
        assert f"\n\t$(BIN)/{tool}" in makefile, tool
