"""Runs Mosquitto with the configuration that Menshen ships."""

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
_SEARCH = (
    f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"  # where Debian installs it
)


_EXPECTED_WARNING = f"Warning: ACL pattern '{repository.TOPIC}/#' does not contain '%c' or '%u'."
"""Mosquitto warns that every client may read this topic. That is intended: only a pattern can give
rights to clients whose names are not known yet."""


class BrokerError(ValueError):
    """The broker cannot start; one sentence says why and what to do."""


def run(estate: Estate, state: Path, host: str, port: int) -> None:
    """Write the configuration into `state` and exec Mosquitto: never returns, except by raising.

    Raises BrokerError, EstateError, PortError.
    """
    program = find_mosquitto()
    configuration = write_config(estate, state, host, port)
    serving.take_port(host, port).close()
    serving.print_ready_when_open("broker", f"mqtts://{host}:{port}", host, port)
    os.chdir(configuration.parent)
    _filter_stderr(_EXPECTED_WARNING)
    os.execv(program, [program, "-c", configuration.name])  # noqa: S606 -- a fixed program


def find_mosquitto(search: str = _SEARCH) -> str:
    """The path of the Mosquitto program. Raises BrokerError."""
    program = shutil.which("mosquitto", path=search)
    if program is None:
        raise BrokerError("mosquitto is not installed; install it with: apt install mosquitto")
    return program


def write_config(estate: Estate, state: Path, host: str, port: int) -> Path:
    """Write Mosquitto's files into `state`, its working folder. Returns mosquitto.conf's path.

    Started as root, Mosquitto changes to the user `mosquitto` and reads copies of the certificates:
    a program that faces the network must neither be root nor read the estate.
    Raises BrokerError, EstateError.
    """
    certificate, key = estate.certificate("broker")
    files = {"ca": estate.authority, "certificate": certificate, "key": key}
    account = _account()
    state = state.resolve()
    values = {
        "host": host,
        "port": str(port),
        "user": account.pw_name if account else getpass.getuser(),
    }
    try:
        state.mkdir(parents=True, exist_ok=True)
        if account:
            _change_owner(state, account)
        for name, path in files.items():
            values[name] = f"broker-{name}.pem" if account else str(path.resolve())
            if account:
                _write_private(state / values[name], path.read_bytes(), account)
        _write_private(state / "mosquitto.acl", (_HERE / "mosquitto.acl").read_bytes(), account)
        text = Template((_HERE / "mosquitto.conf").read_text()).substitute(values)
        _write_private(state / "mosquitto.conf", text.encode(), account)
    except OSError as error:
        raise BrokerError(
            f"cannot write the broker's files in {state} ({error.strerror}); "
            f"choose a writable folder with --state"
        ) from None
    return state / "mosquitto.conf"


def _account() -> pwd.struct_passwd | None:
    """The account that Mosquitto changes to; None: it keeps the current one."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("mosquitto")
    except KeyError:
        return None


def _change_owner(state: Path, account: pwd.struct_passwd) -> None:
    """Give `account` the folder, and the database that an earlier broker wrote there as root."""
    mode = state.stat().st_mode
    if not mode & stat.S_ISVTX:  # a folder like /tmp is writable for everybody already
        os.chown(state, account.pw_uid, account.pw_gid)
    for name in ("mosquitto.db", "mosquitto.db.new"):
        try:
            status = (state / name).lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.chown(state / name, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _write_private(path: Path, data: bytes, account: pwd.struct_passwd | None) -> None:
    """Write a new file for Mosquitto only, never through a link that it could have made."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        if account:
            os.fchown(handle, account.pw_uid, account.pw_gid)
        file.write(data)


def _filter_stderr(line: str) -> None:
    """Drop `line` from the standard error of this process and of the program that it execs.

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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # forward the last lines too
        signal.signal(number, signal.SIG_IGN)
    os.dup2(end, 0)
    os.dup2(2, 1)
    os.close(begin)
    os.close(end)
    os.execv(grep, [grep, "--line-buffered", "-vF", "--", line])  # noqa: S606
