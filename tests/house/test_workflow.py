"""The workflow for a public forge: what it calls exists, and it may do no more than it needs."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests import ROOT

PATH = ROOT / ".github" / "workflows" / "check-and-test.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(PATH.read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def targets(makefile: str) -> set[str]:
    """The names that `make` can be asked for."""
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def made(job: dict[str, Any]) -> Iterator[str]:
    """The targets that a job's steps make."""
    for step in job["steps"]:
        for command in re.split(r"&&|;|\n", step.get("run", "")):
            words = shlex.split(command)
            if words[:1] == ["make"]:
                yield from (word for word in words[1:] if "=" not in word and word[0] != "-")


def test_every_target_that_it_makes_exists() -> None:
    known = targets((ROOT / "Makefile").read_text())
    assert {"check", "test", "test-hardware"} <= known
    assert "no-such-target" not in known
    for job in JOBS.values():
        assert set(made(job)) <= known


def test_it_makes_what_must_pass_before_a_change_lands() -> None:
    run = (ROOT / ".ci" / "run").read_text()
    lines = re.findall(r"^make (.+)$", run, re.MULTILINE)
    words = [word for line in lines for word in line.split()]
    expected = {word for word in words if "=" not in word and not word.startswith("-")}
    assert "check" in expected
    assert {target for job in JOBS.values() for target in made(job)} == expected


def test_each_target_is_made_by_the_job_that_can() -> None:
    assert list(made(JOBS["test-hardware"])) == ["test-hardware"]
    assert "test-hardware" not in set(made(JOBS["test"]))


def test_what_starts_it() -> None:
    events = WORKFLOW[True]  # YAML 1.1 reads the key `on` as a truth value
    assert set(events) == {"push", "pull_request", "workflow_dispatch", "schedule"}
    for event in ("push", "pull_request"):
        assert f"'{event}'" in JOBS["test"]["if"]
    for event in ("schedule", "workflow_dispatch"):
        assert f"'{event}'" in JOBS["test-hardware"]["if"]


def test_it_may_read_the_source_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "secrets." not in PATH.read_text()
    for job in JOBS.values():
        assert "permissions" not in job
        (checkout,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert checkout["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", JOBS)
def test_every_job_ends_and_keeps_its_log_where_it_fails(name: str) -> None:
    job = JOBS[name]
    assert 0 < job["timeout-minutes"] <= 60
    last = job["steps"][-1]
    assert last["if"] == "failure()"
    assert last["with"]["path"] == ".cache/log"
    assert last["with"]["include-hidden-files"] is True


def test_every_action_is_named_by_its_commit() -> None:
    uses = re.findall(r"uses: (.+)", PATH.read_text())
    assert len(uses) == sum("uses" in step for job in JOBS.values() for step in job["steps"])
    for line in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_both_jobs_run_in_the_debian_that_the_pages_name() -> None:
    images = [job["container"] for job in JOBS.values()]
    names = {image if isinstance(image, str) else image["image"] for image in images}
    assert names == {"debian:12"}
