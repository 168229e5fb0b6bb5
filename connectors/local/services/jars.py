"""The jars of Kafka, Connect and Debezium: fetched once per user, checked against
jars.txt at every start.

Hazards:
- A jar counts as present only with the sha256 of jars.txt. It is fetched into a folder
  `partial`, checked there and then moved, so an interrupted download is never taken for
  a jar, and the next run fetches only what is missing.
- Two stacks may fetch at the same time: the folder has a lock, and the second finds
  everything present.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.local.machine.locks import locked
from connectors.ports import Clock
from schemas import extras
from schemas.errors import ConfigurationError, VectrueError

LIST = Path(__file__).with_name("jars.txt")

_THREADS = 16
_ATTEMPTS = 4
_LOCK_SECONDS = 600.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Jar:
    """One line of jars.txt."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of jars."""
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def read_list(file: Path = LIST) -> list[Jar]:
    """The jars that make up the stack, in the order of the file.

    Raises:
        ConfigurationError: a line is not `group:artifact:version sha256`, or two jars
            have one file name.
    """
    jars: dict[str, Jar] = {}
    for number, line in enumerate(file.read_text(encoding="ascii").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        jar = _parse(line)
        if jar is None or jar.file_name in jars:
            fault = (
                "is not 'group:artifact:version sha256'"
                if jar is None
                else f"repeats {jar.file_name}"
            )
            raise ConfigurationError(
                f"line {number} of {file} {fault}", fix="restore the file from the repository"
            )
        jars[jar.file_name] = jar
    return list(jars.values())


def _parse(line: str) -> Jar | None:
    coordinate, _, digest = line.strip().partition(" ")
    parts = coordinate.split(":")
    if (
        len(parts) != 3
        or not all(parts)
        or len(digest) != 64
        or set(digest) - set("0123456789abcdef")
    ):
        return None
    group, artifact, version = parts
    return Jar(group, artifact, version, digest)


def present(jars: Iterable[Jar], folder: Path) -> list[Jar]:
    """Those of the jars whose file lies in the folder with the right checksum."""
    everything = list(jars)
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda jar: _digest(folder / jar.file_name) == jar.sha256, everything)
        )
    return [jar for jar, good in zip(everything, found, strict=True) if good]


def ensure(jars: list[Jar], folder: Path, clock: Clock, progress: Progress) -> list[Path]:
    """Fetch what is missing and return every file, in the order of the list.

    Args:
        jars: what is needed.
        folder: where they lie; made if need be.
        clock: for the pauses between attempts.
        progress: called with how many of the missing jars have arrived, and how many
            there are, from 0 on.

    Raises:
        ConfigurationError: a fetched jar has another checksum than jars.txt.
        VectrueError: a jar cannot be fetched.
    """
    if len(present(jars, folder)) < len(jars):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock", clock, _LOCK_SECONDS):
            missing = sorted(set(jars) - set(present(jars, folder)), key=str)
            if missing:
                _fetch_all(missing, folder, clock, progress)
    return [folder / jar.file_name for jar in jars]


def accept(jar: Jar, fetched: Path, folder: Path) -> None:
    """Move a fetched file among the jars if it is what jars.txt names.

    Raises:
        ConfigurationError: it is not.
    """
    digest = _digest(fetched)
    if digest != jar.sha256:
        raise ConfigurationError(
            f"the checksum of {jar} differs: expected {jar.sha256}, found {digest}",
            fix=f"look what stands between this machine and the repository (a proxy, a mirror), "
            f"or put the right file at {folder / jar.file_name}",
        )
    fetched.replace(folder / jar.file_name)


def _fetch_all(missing: list[Jar], folder: Path, clock: Clock, progress: Progress) -> None:
    with _partial(folder) as partial, ThreadPoolExecutor(_THREADS) as pool:
        context = _maven(partial)
        progress(0, len(missing))
        futures = [pool.submit(_fetch, context, jar, folder, clock) for jar in missing]
        try:
            for arrived, future in enumerate(as_completed(futures), start=1):
                future.result()
                progress(arrived, len(missing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(context: Any, jar: Jar, folder: Path, clock: Clock) -> None:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(1, _ATTEMPTS + 1):
        # jgo takes a file that an earlier attempt left behind for the jar.
        artifact.cached_path.unlink(missing_ok=True)
        try:
            accept(jar, Path(artifact.resolve()), folder)
        except (
            OSError,
            RuntimeError,
            # requests' errors are OSErrors; jgo raises RuntimeError for "not found"
        ) as error:
            if attempt == _ATTEMPTS:
                raise VectrueError(
                    f"cannot fetch {jar} ({type(error).__name__}: {error})",
                    fix=(
                        f"check the network and run the command again, or copy {folder} from "
                        "another machine"
                    ),
                ) from error
            clock.wait(0.5 * 2**attempt)
        else:
            return


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _maven(cache: Path) -> Any:
    with extras.needed("the local stack"):
        from jgo.maven import MavenContext
    return MavenContext(repo_cache=cache, timeout=30)


def _digest(file: Path) -> str | None:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None
