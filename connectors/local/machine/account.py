"""Which user Postgres runs as, and whether that user can reach a folder.

Postgres refuses to run as root, so root starts it as the user `nobody`.

Hazard: that user cannot enter folders below, for example, /root (mode 700), where a
checkout or a virtual environment in a container often is. Then the data, and a copy of
the programs, go below /var/tmp.
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

_OUTSIDE: Final = Path("/var/tmp").resolve()  # noqa: S108 - the folder made there is checked


@dataclass(frozen=True)
class Account:
    """An unprivileged user to switch to. Only root can switch."""

    uid: int
    gid: int

    def options(self) -> dict[str, object]:
        """Return arguments of `subprocess` that start a process as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def for_postgres(data: Path) -> Account | None:
    """Return the user to start Postgres as; None: the user of this process.

    For root that is the owner of existing data, else `nobody`.

    Args:
        data: the data folder, which need not exist yet.

    Raises:
        ConfigurationError: this process runs as root, and there is no user to switch
            to.
    """
    if os.geteuid() != 0:
        return None
    if data.is_dir() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    try:
        unprivileged = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ConfigurationError(
            "Postgres does not run as root, and there is no user `nobody`",
            fix="run vectrue local as another user",
        ) from error
    return Account(unprivileged.pw_uid, unprivileged.pw_gid)


def runs(argv: list[str], account: Account | None) -> bool:
    """Return whether a short command succeeds.

    Args:
        argv: program and arguments.
        account: the user to switch to; None: the user of this process.

    Raises:
        ConfigurationError: the system does not let root switch to the user.
    """
    options = account.options() if account else {}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, cwd="/", **options
        )  # type: ignore[call-overload]  # the options differ with the account
    except PermissionError:
        return False
    except subprocess.SubprocessError as error:
        uid = account.uid if account else os.geteuid()
        raise ConfigurationError(
            "Postgres does not run as root, and this system does not let root switch to "
            f"user id {uid} ({error})",
            fix="run vectrue local as another user",
        ) from error
    return bool(done.returncode == 0)


def can_enter(folder: Path, account: Account | None) -> bool:
    """Return whether the user can enter the folder, which exists."""
    if account is None:
        return True
    return runs(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], account)


def outside(directory: Path) -> Path:
    """Return the folder below /var/tmp that is used in place of DIR/postgres."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return _OUTSIDE / f"vectrue-{digest}"


def is_ours(folder: Path) -> bool:
    """Return whether it is a folder, not a link to one, and belongs to this user."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def outside_home(directory: Path) -> Path:
    """Return the folder below /var/tmp, made if it is missing.

    Raises:
        VectrueError: it belongs to another user.
    """
    home = outside(directory)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    # Any user may write in /var/tmp, and may have made it, or a link, before.
    if not is_ours(home):
        raise VectrueError(
            f"{home} belongs to another user",
            fix=f"remove {home}, or choose another --dir",
        )
    return home
