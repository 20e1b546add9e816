"""Mosquitto with the configuration that we ship."""

import getpass
import os
import shutil
from pathlib import Path
from string import Template

from server_stub import serving
from server_stub.estate import Estate

_HERE = Path(__file__).parent
_SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"  # where Debian has it


class BrokerError(ValueError):
    """The broker cannot start; one sentence that says what is wrong and what to do."""


def run(estate: Estate, state: Path, host: str, port: int) -> None:
    """Write the configuration into `state` and become Mosquitto: returns only by raising.

    Raises BrokerError, EstateError, PortError.
    """
    program = installed()
    configuration = write(estate, state, host, port)
    serving.take_port(host, port).close()
    serving.tell_when_open("broker", f"mqtts://{host}:{port}", host, port)
    os.execv(program, [program, "-c", str(configuration)])  # noqa: S606 -- what we are for


def installed(search: str = _SEARCH) -> str:
    """Where Mosquitto is. Raises BrokerError."""
    program = shutil.which("mosquitto", path=search)
    if program is None:
        raise BrokerError("mosquitto is not installed; install it with: apt install mosquitto")
    return program


def write(estate: Estate, state: Path, host: str, port: int) -> Path:
    """Write mosquitto.conf and mosquitto.acl into `state`; returns the former's path.

    Raises BrokerError, EstateError.
    """
    certificate, key = estate.certificate("broker")
    authority = estate.authority
    state = state.resolve()
    names = {
        "host": host,
        "port": str(port),
        "ca": str(authority),
        "certificate": str(certificate),
        "key": str(key),
        "acl": str(state / "mosquitto.acl"),
        "state": str(state),
        "user": getpass.getuser(),
    }
    text = Template((_HERE / "mosquitto.conf").read_text()).substitute(names)
    try:
        state.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_HERE / "mosquitto.acl", state / "mosquitto.acl")
        (state / "mosquitto.acl").chmod(0o600)
        (state / "mosquitto.conf").write_text(text)
    except OSError as error:
        raise BrokerError(
            f"{state} cannot hold the broker's state ({error.strerror}); name a folder with --state"
        ) from None
    return state / "mosquitto.conf"
