"""The jars of Kafka, Connect and Debezium: fetched once per user, checked against
jars.txt at every start.

Hazard: a jar counts as present only with the sha256 of jars.txt. It is fetched into a
folder `partial`, checked there and then moved, so that an interrupted download is never
used, and the next run fetches only what is missing.
"""

import hashlib
import re
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

_SHA256 = re.compile(r"[0-9a-f]{64}")
_THREADS = 16
_ATTEMPTS = 4
_LOCK_SECONDS = 600.0

OnProgress = Callable[[int, int], None]
"""Takes how many of the missing jars have arrived, and how many are missing."""


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
    """Return the jars that make up the stack, in the order of the file.

    Args:
        file: the list.

    Raises:
        ConfigurationError: a line is not `group:artifact:version sha256`, or two jars
            have the same file name.
    """
    jars: dict[str, Jar] = {}
    lines = file.read_text(encoding="ascii").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        jar = _parse(line)
        if jar is None:
            raise _wrong(file, number, "is not 'group:artifact:version sha256'")
        if jar.file_name in jars:
            raise _wrong(file, number, f"repeats {jar.file_name}")
        jars[jar.file_name] = jar
    return list(jars.values())


def _wrong(file: Path, number: int, fault: str) -> ConfigurationError:
    return ConfigurationError(
        f"line {number} of {file} {fault}", fix="restore the file from the repository"
    )


def _parse(line: str) -> Jar | None:
    coordinate, _, digest = line.strip().partition(" ")
    parts = coordinate.split(":")
    if len(parts) != 3 or not all(parts) or not _SHA256.fullmatch(digest):
        return None
    group, artifact, version = parts
    return Jar(group, artifact, version, digest)


def present(jars: Iterable[Jar], folder: Path) -> list[Jar]:
    """Return those of the jars whose file in the folder has the right checksum."""
    everything = list(jars)
    with ThreadPoolExecutor(4) as pool:
        digests = pool.map(_digest, [folder / jar.file_name for jar in everything])
    found = []
    for jar, digest in zip(everything, digests, strict=True):
        if digest == jar.sha256:
            found.append(jar)
    return found


def ensure(jars: list[Jar], folder: Path, clock: Clock, progress: OnProgress) -> list[Path]:
    """Fetch what is missing and return every file, in the order of the list.

    Args:
        jars: what is needed.
        folder: of the jars; made if it is missing.
        clock: for the waits between attempts.
        progress: called with 0 first, then after each jar.

    Raises:
        ConfigurationError: a fetched jar has another checksum than in jars.txt.
        VectrueError: a jar cannot be fetched.
    """
    if len(present(jars, folder)) < len(jars):
        folder.mkdir(parents=True, exist_ok=True)
        # Two stacks may fetch at the same time: the second one finds the jars present.
        with locked(folder / "lock", clock, _LOCK_SECONDS):
            missing = sorted(set(jars) - set(present(jars, folder)), key=str)
            if missing:
                _fetch_all(missing, folder, clock, progress)
    return [folder / jar.file_name for jar in jars]


def accept(jar: Jar, fetched: Path, folder: Path) -> None:
    """Move a fetched file to the jars if it has the checksum of jars.txt.

    Args:
        jar: of jars.txt.
        fetched: the file.
        folder: of the jars.

    Raises:
        ConfigurationError: it has another checksum.
    """
    digest = _digest(fetched)
    if digest != jar.sha256:
        raise ConfigurationError(
            f"the checksum of {jar} differs: expected {jar.sha256}, found {digest}",
            fix="check what is between this machine and the repository (a proxy, a "
            f"mirror), or put the right file at {folder / jar.file_name}",
        )
    fetched.replace(folder / jar.file_name)


def _fetch_all(missing: list[Jar], folder: Path, clock: Clock, progress: OnProgress) -> None:
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
        # jgo takes a file that an earlier attempt left for the finished jar.
        artifact.cached_path.unlink(missing_ok=True)
        try:
            accept(jar, Path(artifact.resolve()), folder)
        # Errors of requests are OSErrors; jgo raises RuntimeError for "not found".
        except (OSError, RuntimeError) as error:
            if attempt == _ATTEMPTS:
                raise VectrueError(
                    f"cannot fetch {jar} ({type(error).__name__}: {error})",
                    fix="check the network and run the command again, or copy "
                    f"{folder} from another machine",
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
