"""What systemd must be told for the unit's two processes (edge/menshen-edge.service)."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import edge

FILE = Path(edge.__file__).parent / "menshen-edge.service"


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    file = configparser.ConfigParser(interpolation=None)
    file.optionxform = str  # systemd minds the case
    file.read(FILE)
    return file["Service"]


def test_no_frame_reaches_the_card(service: configparser.SectionProxy) -> None:
    """A watchdog's SIGABRT dumps core where nothing forbids it; and unlocked memory is swapped."""
    assert service["LimitCORE"] == "0"
    assert service["LimitMEMLOCK"] == "infinity"
    assert service["MemorySwapMax"] == "0"


def test_the_kernel_may_take_the_decoder_and_systemd_leaves_the_unit_alone(
    service: configparser.SectionProxy,
) -> None:
    """systemd's default stops the whole service with the first process that runs out of memory."""
    assert service["OOMPolicy"] == "continue"


def test_a_loop_that_stalls_is_started_again(service: configparser.SectionProxy) -> None:
    """`edge/__main__.py` feeds it after each turn of the loop, if all threads are well."""
    assert service["Type"] == "notify"
    assert service["WatchdogSec"] == "10"
    assert service["Restart"] == "always"
    program = (FILE.parent / "__main__.py").read_text("utf-8")
    fed = r"^ +loop\.tick\(\)\n +threads\.check\(\)\n +systemd\.notify\(\"WATCHDOG=1\"\)"
    assert re.findall(fed, program, re.M)
    assert program.count("WATCHDOG=1") == 1


def test_every_kind_of_eyes_may_be_opened(service: configparser.SectionProxy) -> None:
    assert {"gpio", "video", "dialout"} <= set(service["SupplementaryGroups"].split())
    assert "PrivateDevices" not in service
    assert "DevicePolicy" not in service


@pytest.mark.system
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    copy = tmp_path / FILE.name
    copy.write_text(FILE.read_text().replace("/opt/menshen/bin/menshen-edge", "/bin/true"))
    told = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert not told.stderr
    assert told.returncode == 0


def test_what_lgpio_writes_stays_in_ram(service: configparser.SectionProxy) -> None:
    """Its pipes; where they cannot be made, no edge of an input is told."""
    assert service["Environment"] == f"LG_WD=/run/{service['RuntimeDirectory']}"
