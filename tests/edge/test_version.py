"""`--version` of the three commands."""

import re
import tomllib
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

from edge import BUILT_S
from edge.__main__ import app as edge_app
from provisioning.__main__ import app as provisioning_app
from server_stub.__main__ import app as server_app
from tests import ROOT

COMMANDS = {
    "menshen-edge": edge_app,
    "menshen-provision": provisioning_app,
    "menshen-server": server_app,
}


def test_every_command_of_the_package_is_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["scripts"]) == set(COMMANDS)


@pytest.mark.parametrize(("command", "app"), COMMANDS.items(), ids=COMMANDS)
def test_it_is_the_projects_version_and_its_build_date(command: str, app: typer.Typer) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = CliRunner().invoke(app, ["--version"])
    assert shown.exit_code == 0
    parts = re.fullmatch(r"(\S+) (\S+) \(built (\d{4}-\d\d-\d\d)\)\n", shown.output)
    assert parts is not None, shown.output
    assert parts[1] == command
    assert parts[2] == project["version"]
    midnight_s = datetime.fromisoformat(parts[3]).replace(tzinfo=UTC).timestamp()
    assert midnight_s <= BUILT_S < midnight_s + 86400


@pytest.mark.parametrize(("command", "app"), COMMANDS.items(), ids=COMMANDS)
def test_help_still_begins_with_what_the_command_is(command: str, app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert app.info.help is not None
    assert app.info.help[:40] in re.sub(r"\s+", " ", shown.output), command
