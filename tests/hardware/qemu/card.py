"""What is laid over the guest's memory disk: the project as pip installs it, a provisioned card."""

import os
import shutil
import subprocess
import sys
import time
import tomllib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import segno
import tomli_w

from edge.adapters.storage.clock_slots import Slots
from edge.clock.time_interval import Relation, StoredClock
from edge.wire import keys
from edge.wire.code import Code, Colour, encode
from edge.wire.unit import CameraConfig
from provisioning import authority, issuers, repository, sites, units
from tests.centre import ISSUER, SITE
from tests.hardware.trixie import ROOT

GUEST = Path(__file__).with_name("guest")
UNIT_TOML = "/etc/menshen/unit.toml"
EYES = "/run/eyes"
"""The folder before its camera."""
LEVELS = ("contact", "exit_button", "fire", "help_button", "tamper")
"""Not the turn sensors: a turn is an edge, and QEMU tells none (README.md)."""
UNLOCK_MS = 6000  # long, so that a busy machine kills in mid-pulse too
HELD_S = 5  # the shortest
BOARD = "00000000c0ffee01"
"""The serial number in the guest's device tree (.ci/raspi3b-inside)."""
PACKAGES = Path("usr/local/lib/python3.11/dist-packages")
COMMAND = """\
#!/usr/bin/python3
from edge.__main__ import main

main()
"""


class Card:
    """A unit with inputs and without a broker, and the issuer whose codes it believes."""

    def __init__(self, folder: Path, name: str) -> None:
        """An estate in `folder`, and there the unit's card."""
        self._estate = folder / "estate"
        authority.create_authority(self._estate)
        issuers.create_issuer(self._estate, ISSUER, from_s=int(time.time()) - 86400)
        sites.create_site(self._estate, SITE, demo=True)
        repository.publish(self._estate)
        camera = CameraConfig(kind="pictures", source=EYES, frames_per_s=5)
        order = units.UnitOrder(name=name, camera=camera, broker=False, wired=LEVELS)
        self.path = units.create_card(self._estate, SITE, order).path
        self._commission()

    @property
    def pins(self) -> dict[str, int]:
        """By what they are for."""
        return dict(tomllib.loads((self.path / "unit.toml").read_text())["door"]["pins"])

    def _commission(self) -> None:
        """What an installer does: name its board, choose its times, sync it once, so that what its
        RTC shows is known.
        """
        file = self.path / "unit.toml"
        config = {"board": BOARD} | tomllib.loads(file.read_text())
        config["door"] |= {"unlock_ms": UNLOCK_MS, "held_s": HELD_S}
        file.write_text(tomli_w.dumps(config))
        shown_s = int(time.time())  # the guest's RTC shows the host's UTC
        (self.path / "state").mkdir()
        relation = Relation(shown_s, 0, 2000, shown_s)
        Slots(self.path / "state").save(StoredClock(shown_s - 60, 60, relation))

    def picture(self, colour: Colour = Colour.GREEN, forged: bool = False) -> bytes:
        """A code of somebody new, issued now, as a PNG; `forged`: by a key nobody knows, under
        the issuer's name.
        """
        now_s = int(time.time())
        sub = urlsafe_b64encode(os.urandom(8))[:11].decode()
        code = Code(colour=colour, sub=sub, iat_s=now_s, exp_s=now_s + 900)
        text = encode(code, _Forger(self._city.kid) if forged else self._city)
        png = BytesIO()
        segno.make_qr(text, error="m").save(png, kind="png", scale=5, border=4)
        return png.getvalue()

    @property
    def _city(self) -> keys.PrivateKey:
        path = self._estate / "issuers" / ISSUER / "issuer.key"
        return keys.private_from_pem(path.read_text())


@dataclass(frozen=True)
class _Forger:
    """Signs by a key of its own, under the name of another."""

    kid: bytes

    def sign(self, message: bytes) -> bytes:
        return keys.private_key(b"nobody".ljust(32)).sign(message)


def install(contents: Path) -> None:
    """The project into a guest's files, as `pip install` does it from a clean copy."""
    source = contents.with_name("source")
    for package in ("edge", "hardware", "provisioning", "server_stub"):
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    into = ["--no-deps", "--no-build-isolation", "--target", str(contents / PACKAGES), str(source)]
    done = subprocess.run([*pip, *into], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    commands = contents / "usr" / "bin"
    shutil.copytree(GUEST, commands)
    (commands / "init.sh").rename(contents / "init")
    (commands / "menshen-edge").write_text(COMMAND)
    (commands / "menshen-edge").chmod(0o755)
