"""Which user Postgres runs as, and whether that user can reach a folder.

Postgres refuses to run as root. As root it therefore runs as `nobody`, who cannot enter
folders below, for example, /root (mode 700), where a checkout or a virtual environment
in a container often lies; then its data, and a copy of its programs, go below /var/tmp.
"""

import hashlib
import os
import pwd
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError, VectrueError

_OUTSIDE: Final = Path("/var/tmp").resolve()  # noqa: S108 - the folder made there is checked to be ours


@dataclass(frozen=True)
class Account:
    """An unprivileged user to switch to. Only root can switch."""

    uid: int
    gid: int

    def options(self) -> dict[str, object]:
        """Arguments of `subprocess` that start a process as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def for_postgres(data: Path) -> Account | None:
    """The user to start Postgres as: None for ourselves; as root the owner of existing
    data, else `nobody`.

    Raises:
        ConfigurationError: we are root and there is no user to switch to.
    """
    if os.geteuid() != 0:
        return None
    if data.is_dir() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ConfigurationError(
            "Postgres does not run as root and there is no user nobody",
            fix="run vectrue local as another user",
        ) from error
    return Account(nobody.pw_uid, nobody.pw_gid)


def runs(argv: list[str], account: Account | None) -> bool:
    """Whether a short command succeeds as that user.

    Raises:
        ConfigurationError: the system does not let us switch to the user.
    """
    options = account.options() if account else {}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd="/", **options
        )  # type: ignore[call-overload]  # the options differ with the account
    except PermissionError:
        return False
    except subprocess.SubprocessError as error:
        raise ConfigurationError(
            f"Postgres does not run as root and this system does not let root switch to user id "
            f"{account.uid if account else os.geteuid()} ({error})",
            fix="run vectrue local as another user",
        ) from error
    return bool(done.returncode == 0)


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether the user can enter the folder, which exists."""
    return account is None or runs(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], account)


def outside(directory: Path) -> Path:
    """The folder below /var/tmp that stands in for DIR/postgres."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return _OUTSIDE / f"vectrue-{digest}"


def is_ours(folder: Path) -> bool:
    """Whether it is a folder, not a link to one, and belongs to this user."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def outside_home(directory: Path) -> Path:
    """Make that folder if need be, and check that it is ours: anybody may write in
    /var/tmp.

    Raises:
        VectrueError: something that is not ours has its name.
    """
    home = outside(directory)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    if not is_ours(home):
        raise VectrueError(
            f"{home} belongs to somebody else", fix=f"remove {home}, or choose another --dir"
        )
    return home
