"""`make release`: .ci/release.py in a repository of its own, with this project's real files."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edge import BUILT_S
from tests import ROOT

pytestmark = pytest.mark.system
SCRIPT = ROOT / ".ci" / "release.py"
FILES = (
    "pyproject.toml",
    "firmware/version.py",
    "firmware/package.json",
    "edge/__init__.py",
    "CHANGELOG.md",
    "Makefile",
)
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
LATER_S = BUILT_S + 3 * 86400 + 7 * 60
CHANGES = "# Changelog\n\n## Unreleased\n\nWhat is new.\n\n## 0.0.1 (2026-01-01)\n\nBefore.\n"


class ReleasedRepository:
    """A clone with the files that a release changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
        self.write("CHANGELOG.md", CHANGES)
        self.write(".gitignore", "__pycache__/\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "all: begin")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=os.environ | GIT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def release(self, version: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`SOURCE_DATE_EPOCH` of the caller has no say."""
        kept = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        return subprocess.run(
            [sys.executable, ".ci/release.py", *filter(None, [version])],
            cwd=self.folder,
            env=kept | GIT | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def commit(self, name: str, text: str) -> None:
        self.write(name, text)
        self.git("commit", "--quiet", "-m", "all: change", "--", name)

    def built_s(self) -> int:
        (text,) = re.findall(r"^BUILT_S = (\d+)$", self.read("edge/__init__.py"), re.MULTILINE)
        return int(text)

    def refuses(self, version: str, sentence: str, **environment: str) -> None:
        """In one sentence with exit code 2, and nothing changed."""
        before = self.git("rev-parse", "HEAD"), self.git("status", "--porcelain")
        done = self.release(version, **environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert sentence in done.stderr
        assert (self.git("rev-parse", "HEAD"), self.git("status", "--porcelain")) == before
        assert self.git("tag", "--list") == ""


@pytest.fixture
def repository(tmp_path: Path) -> ReleasedRepository:
    return ReleasedRepository(tmp_path)


def next_version() -> str:
    """Greater than this project's, whatever that is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    major, minor, _ = project["version"].split(".")
    return f"{major}.{int(minor) + 1}.0"


def test_a_release_sets_version_and_build_time_everywhere(repository: ReleasedRepository) -> None:
    version = next_version()
    done = repository.release(version, SOURCE_DATE_EPOCH=str(LATER_S))
    assert (done.returncode, done.stderr) == (0, "")

    assert tomllib.loads(repository.read("pyproject.toml"))["project"]["version"] == version
    assert f'\nVERSION = "{version}"\n' in repository.read("firmware/version.py")
    assert json.loads(repository.read("firmware/package.json"))["version"] == version
    assert repository.built_s() == LATER_S
    day = subprocess.check_output(["date", "-u", "-d", f"@{LATER_S}", "+%F %R"], text=True).split()
    assert f'"""Unix seconds, {day[0]} {day[1]} UTC, when' in repository.read("edge/__init__.py")
    heading = f"## {version} ({day[0]})"
    assert repository.read("CHANGELOG.md") == CHANGES.replace("## Unreleased", heading)

    assert repository.git("status", "--porcelain") == ""
    assert repository.git("log", "-1", "--format=%s") == f"release: {version}"
    changed = repository.git("show", "--name-only", "--format=", "HEAD").splitlines()
    assert sorted(changed) == sorted(set(FILES) - {"Makefile"})
    assert repository.git("rev-parse", f"v{version}^{{commit}}") == repository.git(
        "rev-parse", "HEAD"
    )
    assert f"git push --atomic origin main v{version}" in done.stdout
    assert f"tests.upgrade.make tests/upgrade/{version}" in done.stdout


def test_a_release_changes_nothing_else_in_those_files(repository: ReleasedRepository) -> None:
    before = {name: repository.read(name).splitlines() for name in FILES}
    repository.release(next_version(), SOURCE_DATE_EPOCH=str(LATER_S))
    for name in set(FILES) - {"Makefile"}:
        after = repository.read(name).splitlines()
        pairs = zip(before[name], after, strict=True)
        differ = sum(old != new for old, new in pairs)
        assert differ == (2 if name == "edge/__init__.py" else 1), name


def test_every_file_that_names_the_version_is_set_by_a_release() -> None:
    """In pages of other folders it is only part of an example."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    pattern = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])".encode())
    places = [ROOT / "pyproject.toml", *(ROOT / ".ci").glob("*"), *(ROOT / "firmware").glob("*.md")]
    for house in ("edge", "firmware", "hardware", "provisioning", "server_stub"):
        kinds = (".json", ".py", ".toml")
        places += [path for path in (ROOT / house).rglob("*") if path.suffix in kinds]
    named = {
        path.relative_to(ROOT).as_posix()
        for path in places
        if path.is_file() and pattern.search(path.read_bytes())
    }
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    assert spec is not None and spec.loader is not None
    release = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(release)
    assert named == set(release.VERSION_LINES)


def test_without_an_epoch_the_build_time_is_now(repository: ReleasedRepository) -> None:
    def now_s() -> int:
        return int(subprocess.check_output(["date", "+%s"]))

    before_s = now_s()
    assert repository.release(next_version()).returncode == 0
    assert before_s <= repository.built_s() <= now_s()


def test_the_build_time_never_goes_back(repository: ReleasedRepository) -> None:
    done = repository.release(next_version(), SOURCE_DATE_EPOCH=str(BUILT_S - 86400))
    assert done.returncode == 0
    assert repository.built_s() == BUILT_S


def test_two_releases_in_a_row(repository: ReleasedRepository) -> None:
    first = next_version()
    assert repository.release(first, SOURCE_DATE_EPOCH=str(LATER_S)).returncode == 0
    second = f"{first.rpartition('.')[0]}.10"
    text = repository.read("CHANGELOG.md")
    repository.commit("CHANGELOG.md", text.replace("\n## ", "\n## Unreleased\n\nMore.\n\n## ", 1))
    assert repository.release(second, SOURCE_DATE_EPOCH=str(LATER_S + 60)).returncode == 0
    assert repository.built_s() == LATER_S + 60
    assert repository.git("tag", "--list").splitlines() == [f"v{first}", f"v{second}"]


def test_a_dirty_tree_is_refused(repository: ReleasedRepository) -> None:
    repository.write("Makefile", "changed\n")
    repository.refuses(next_version(), "The working tree has changes")


def test_a_file_that_git_does_not_know_is_refused(repository: ReleasedRepository) -> None:
    repository.write("new.py", "")
    repository.refuses(next_version(), "The working tree has changes")


@pytest.mark.parametrize("version", ["", "1", "1.2", "v9.9.9", "9.9.9rc1", "9.09.9", "9.9.9\n"])
def test_what_is_no_version_is_refused(version: str, repository: ReleasedRepository) -> None:
    repository.refuses(version, "write VERSION=x.y.z")


def test_a_version_that_is_not_greater_is_refused(repository: ReleasedRepository) -> None:
    present = tomllib.loads(repository.read("pyproject.toml"))["project"]["version"]
    for version in (present, "0.0.99"):
        repository.refuses(version, "is not greater than the current version")


def test_versions_are_compared_as_numbers(repository: ReleasedRepository) -> None:
    text = repository.read("pyproject.toml")
    repository.commit("pyproject.toml", re.sub(r'(?m)^version = ".*"$', 'version = "0.10.0"', text))
    repository.refuses("0.9.0", "is not greater than the current version, 0.10.0")


def test_a_tag_that_exists_is_refused(repository: ReleasedRepository) -> None:
    version = next_version()
    repository.git("tag", f"v{version}")
    done = repository.release(version)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert repository.git("log", "-1", "--format=%s") == "all: begin"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ("# Changelog\n", 'CHANGELOG.md has no section "## Unreleased"'),
        (CHANGES * 2, 'CHANGELOG.md has 2 section "## Unreleased"'),
        (CHANGES.replace("What is new.", ""), "is empty; write what changed"),
        ("# Changelog\n\n## Unreleased\n", "is empty; write what changed"),
    ],
    ids=["missing", "twice", "empty", "empty at the end"],
)
def test_a_changelog_without_the_next_section_is_refused(
    changes: str, sentence: str, repository: ReleasedRepository
) -> None:
    repository.commit("CHANGELOG.md", changes)
    repository.refuses(next_version(), sentence)


@pytest.mark.parametrize(
    ("epoch", "sentence"),
    [("", "must be Unix seconds"), ("-1", "must be Unix seconds"), ("1e9", "must be Unix seconds"),
     ("99999999999", "later than this machine's clock")],
)  # fmt: skip
def test_an_epoch_that_cannot_be_is_refused(
    epoch: str, sentence: str, repository: ReleasedRepository
) -> None:
    repository.refuses(next_version(), sentence, SOURCE_DATE_EPOCH=epoch)


def test_a_commit_that_fails_leaves_no_trace(repository: ReleasedRepository) -> None:
    hook = repository.folder / ".git" / "hooks" / "commit-msg"
    hook.write_text("#!/bin/sh\necho the hook refuses >&2\nexit 1\n")
    hook.chmod(0o755)
    repository.refuses(next_version(), "git commit failed: the hook refuses")
    assert repository.built_s() == BUILT_S


def test_make_hands_the_version_on(repository: ReleasedRepository) -> None:
    version = next_version()
    line = ["make", "--silent", "release", f"VERSION={version}"]
    subprocess.run(line, cwd=repository.folder, env=os.environ | GIT, check=True, timeout=60)
    assert repository.git("tag", "--list") == f"v{version}"
