"""Mosquitto with the configuration that we ship."""

import getpass
import os
import pwd
import shutil
import signal
import stat
import sys
from pathlib import Path
from string import Template

from edge.wire import repository
from server_stub import serving
from server_stub.estate import Estate

_HERE = Path(__file__).parent
_SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"  # where Debian has it


_EXPECTED = f"Warning: ACL pattern '{repository.TOPIC}/#' does not contain '%c' or '%u'."
"""Mosquitto asks whether every client may really read this. It may, and nothing but a pattern
allows something to clients whose names are not known yet."""


class BrokerError(ValueError):
    """The broker cannot start; one sentence that says what is wrong and what to do."""


def run(estate: Estate, state: Path, host: str, port: int) -> None:
    """Write the configuration into `state` and become Mosquitto: returns only by raising.

    Raises BrokerError, EstateError, PortError.
    """
    program = find_mosquitto()
    configuration = write_config(estate, state, host, port)
    serving.take_port(host, port).close()
    serving.print_ready_when_open("broker", f"mqtts://{host}:{port}", host, port)
    os.chdir(configuration.parent)
    _leave_out(_EXPECTED)
    os.execv(program, [program, "-c", configuration.name])  # noqa: S606 -- what we are for


def find_mosquitto(search: str = _SEARCH) -> str:
    """Where Mosquitto is. Raises BrokerError."""
    program = shutil.which("mosquitto", path=search)
    if program is None:
        raise BrokerError("mosquitto is not installed; install it with: apt install mosquitto")
    return program


def write_config(estate: Estate, state: Path, host: str, port: int) -> Path:
    """Write what Mosquitto reads into `state`, where it will run; returns mosquitto.conf's path.

    Started as root it becomes `mosquitto` and gets copies of the certificates: a broker that faces
    the network is not root, and the estate stays closed to it. Raises BrokerError, EstateError.
    """
    certificate, key = estate.certificate("broker")
    files = {"ca": estate.authority, "certificate": certificate, "key": key}
    account = _account()
    state = state.resolve()
    names = {
        "host": host,
        "port": str(port),
        "user": account.pw_name if account else getpass.getuser(),
    }
    try:
        state.mkdir(parents=True, exist_ok=True)
        if account:
            _give(state, account)
        for name, path in files.items():
            names[name] = f"broker-{name}.pem" if account else str(path.resolve())
            if account:
                _put(state / names[name], path.read_bytes(), account)
        _put(state / "mosquitto.acl", (_HERE / "mosquitto.acl").read_bytes(), account)
        text = Template((_HERE / "mosquitto.conf").read_text()).substitute(names)
        _put(state / "mosquitto.conf", text.encode(), account)
    except OSError as error:
        raise BrokerError(
            f"{state} cannot hold the broker's state ({error.strerror}); name a folder with --state"
        ) from None
    return state / "mosquitto.conf"


def _account() -> pwd.struct_passwd | None:
    """The account that Mosquitto changes to; None: it keeps this one."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("mosquitto")
    except KeyError:
        return None


def _give(state: Path, account: pwd.struct_passwd) -> None:
    """The folder, and the store that an earlier broker has left there as root."""
    mode = state.stat().st_mode
    if not mode & stat.S_ISVTX:  # one like /tmp is for everybody already
        os.chown(state, account.pw_uid, account.pw_gid)
    for name in ("mosquitto.db", "mosquitto.db.new"):
        try:
            found = (state / name).lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.chown(state / name, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _put(path: Path, data: bytes, account: pwd.struct_passwd | None) -> None:
    """A new file for Mosquitto alone; never written through a link that it could have made."""
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as opened:
        if account:
            os.fchown(file, account.pw_uid, account.pw_gid)
        opened.write(data)


def _leave_out(line: str) -> None:
    """Leave `line` out of what this process writes to its standard error after an exec.

    A grandchild forwards the other lines and ends with the program, as in
    `serving.print_ready_when_open`.
    """
    grep = shutil.which("grep")
    if grep is None:
        return
    sys.stderr.flush()
    end, begin = os.pipe()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.dup2(begin, 2)
        os.close(begin)
        os.close(end)
        return
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the program's last words too
        signal.signal(number, signal.SIG_IGN)
    os.dup2(end, 0)
    os.dup2(2, 1)
    os.close(begin)
    os.close(end)
    os.execv(grep, [grep, "--line-buffered", "-vF", "--", line])  # noqa: S606
