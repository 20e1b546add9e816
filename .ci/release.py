"""Make a release: `make release VERSION=0.2.0`. Bad input ends in one sentence and exit code 2.

It sets the version in each file that names it, sets BUILT_S (no unit accepts a clock before it),
dates the section "Unreleased" of CHANGELOG.md, commits and tags. It pushes nothing.

It needs only the standard library, so any Python 3.11 runs it.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

VERSION_LINES = {
    "pyproject.toml": r'^version = "([^"]*)"$',
    "firmware/version.py": r'^VERSION = "([^"]*)"$',
    "firmware/package.json": r'^  "version": "([^"]*)",$',
}
"""Files with the version; tests/firmware checks that the three are equal."""

BUILD_LINES = r'^BUILT_S = (\d+)\n"""Unix seconds, (\d{4}-\d\d-\d\d \d\d:\d\d UTC), '
HEADING = r"^## (Unreleased)$"


class ReleaseError(Exception):
    """Why there is no release: one sentence for the user."""


def release(root: Path, version: str, environment: Mapping[str, str], now_s: int) -> str:
    """Commit and tag `version` in the repository `root`; return what to do next."""
    edits = _edits(root, version, environment, now_s)
    tag = f"v{version}"
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("The working tree has changes; commit or stash them first.")
    if _git(root, "tag", "--list", tag):
        raise ReleaseError(f"The tag {tag} exists already; choose a greater version.")
    before = _git(root, "rev-parse", "HEAD")
    try:
        for name, text in edits.items():
            (root / name).write_text(text)
        _git(root, "commit", "--quiet", "-m", f"release: {version}", "--", *edits)
        _git(root, "tag", "--annotate", "-m", f"release: {version}", tag)
    except BaseException:
        _git(root, "reset", "--quiet", "--hard", before)  # the tree was clean
        raise
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    return (
        f"Committed and tagged {tag}. Next:\n"
        f"  git push --atomic origin {branch} {tag}\n"
        "before the first change after it, store the output of this version for tests/upgrade:\n"
        f"  make .venv/ready && .venv/bin/python -m tests.upgrade.make tests/upgrade/{version}"
    )


def _edits(root: Path, version: str, environment: Mapping[str, str], now_s: int) -> dict[str, str]:
    """Return the files that a release changes, with their new text."""
    texts = {
        name: (root / name).read_text()
        for name in (*VERSION_LINES, "edge/__init__.py", "CHANGELOG.md")
    }
    current = _single_match(VERSION_LINES["pyproject.toml"], texts, "pyproject.toml")[1]
    if _numbers(version) <= _numbers(current):
        raise ReleaseError(f"{version} is not greater than the current version, {current}.")
    build = _single_match(BUILD_LINES, texts, "edge/__init__.py")
    built_s = max(_build_s(environment, now_s), int(build[1]))
    built = datetime.fromtimestamp(built_s, UTC)
    changes = _single_match(HEADING, texts, "CHANGELOG.md")
    section = texts["CHANGELOG.md"][changes.end() :].partition("\n## ")[0]
    if not section.strip():
        raise ReleaseError('The section "Unreleased" of CHANGELOG.md is empty; write what changed.')
    for name, pattern in VERSION_LINES.items():
        texts[name] = _replaced(texts[name], _single_match(pattern, texts, name), version)
    texts["edge/__init__.py"] = _replaced(
        texts["edge/__init__.py"], build, str(built_s), f"{built:%Y-%m-%d %H:%M} UTC"
    )
    texts["CHANGELOG.md"] = _replaced(
        texts["CHANGELOG.md"], changes, f"{version} ({built:%Y-%m-%d})"
    )
    return texts


def _numbers(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise ReleaseError(f"{version!r} is not a version; write VERSION=x.y.z, three numbers.")
    return tuple(map(int, version.split(".")))


def _build_s(environment: Mapping[str, str], now_s: int) -> int:
    """Return the build time: SOURCE_DATE_EPOCH if it is set, else now."""
    epoch = environment.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        return now_s
    if not re.fullmatch(r"\d{1,12}", epoch):
        raise ReleaseError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be Unix seconds.")
    if int(epoch) > now_s:  # every unit would refuse the true time until then
        raise ReleaseError("SOURCE_DATE_EPOCH is later than this machine's clock.")
    return int(epoch)


def _single_match(pattern: str, texts: Mapping[str, str], name: str) -> re.Match[str]:
    """Return the only match of `pattern` in a file. Raises ReleaseError for none or several."""
    matches = list(re.finditer(pattern, texts[name], re.MULTILINE))
    if len(matches) == 1:
        return matches[0]
    target = 'section "## Unreleased"' if pattern == HEADING else f"line like {pattern}"
    raise ReleaseError(f"{name} has {len(matches) or 'no'} {target}; it needs exactly one.")


def _replaced(text: str, match: re.Match[str], *groups: str) -> str:
    """Return `text` with new content for the groups of `match`."""
    for number in range(len(groups), 0, -1):  # from the end, so that earlier positions stay valid
        text = text[: match.start(number)] + groups[number - 1] + text[match.end(number) :]
    return text


def _git(root: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise ReleaseError(f"git {arguments[0]} failed: {reason[0]}")
    return result.stdout.strip()


def main() -> None:
    version = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        print(release(Path.cwd(), version, os.environ, int(time.time())))
    except ReleaseError as error:
        print(f"No release: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
