"""A PostgreSQL that is in no pip package: Debian's own, with pgvector and the libraries
that both were built with, unpacked into a folder. Nothing is installed on the machine.

Hazards:
- Its programs need the C library of their own release. Each is started by a script
  through that release's loader, so that an older machine runs them too.
- apt checks the signature of the release and the hash of every package, with the keys
  that Debian's own package of keys put on this machine.
"""

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

RELEASE = "trixie"
"""Debian 13, which has PostgreSQL 17."""
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_TOOLS = ("apt-get", "dpkg-deb")
_LIBRARY_FOLDERS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
_LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
# PostgreSQL works without these, and they are half of what would be unpacked.
_NOT_NEEDED = ("libllvm", "libperl", "libz3")


class NotToBeHad(Exception):
    """Why this machine cannot get a version."""


def unpacked(major: str, folder: Path) -> Path:
    """Fetch and unpack a version, if that was not done before; the folder that
    `--postgres` takes.

    Raises:
        NotToBeHad: in a sentence.
    """
    root = folder / "root"
    installed = root / "usr" / "lib" / "postgresql" / major
    if (folder / "complete").exists():
        return installed
    if platform.machine() not in _LOADERS:
        raise NotToBeHad(f"no packages are known for {platform.machine()}")
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise NotToBeHad(f"it is in no pip package, and there is no {missing[0]} to fetch Debian's")
    shutil.rmtree(folder, ignore_errors=True)
    root.mkdir(parents=True)
    for package in wanted(_fetched(major, folder / "apt")):
        _run("dpkg-deb", "-x", str(package), str(root))
    shutil.rmtree(folder / "apt")
    _finish(installed, root)
    (folder / "complete").touch()
    return installed


def sources(uri: str) -> str:
    """The list of sources for apt.

    Args:
        uri: of a mirror of Debian.
    """
    return f"deb [signed-by={KEYS}] {uri} {RELEASE} main\n"


def mirror(targets: str) -> str:
    """The mirror of Debian that this machine uses.

    Args:
        targets: what `apt-get indextargets` printed, an address and a release a line.

    Raises:
        NotToBeHad: there is none.
    """
    for line in targets.splitlines():
        uri, _, _release = line.partition(" ")
        if urlsplit(uri).path.strip("/").rpartition("/")[2] == "debian":
            return uri
    raise NotToBeHad("it is in no pip package, and apt knows no mirror of Debian here")


def wanted(packages: Iterable[Path]) -> list[Path]:
    """Of all that apt fetched, the server, pgvector and shared libraries."""
    chosen = []
    for package in packages:
        name = package.name.partition("_")[0]
        common = package.name.endswith("_all.deb") or name.startswith(_NOT_NEEDED)
        if not common and name.startswith(("lib", "postgresql", "zlib")):
            chosen.append(package)
    return sorted(chosen)


def launcher(program: Path, loader: Path, libraries: Sequence[Path]) -> str:
    """A script that starts a program with the C library it was built for.

    The program is told the script's own path: PostgreSQL looks for its files beside it.
    """
    path = ":".join(str(folder) for folder in libraries)
    words = [str(loader), "--library-path", path, "--argv0"]
    quoted = " ".join(shlex.quote(word) for word in words)
    real = shlex.quote(str(program))
    return f'#!/bin/sh\nexec {quoted} "$0" {real} "$@"\n'


def _finish(installed: Path, root: Path) -> None:
    # Without LLVM it could not be loaded; PostgreSQL does without it if it is not there.
    (installed / "lib" / "llvmjit.so").unlink(missing_ok=True)
    folder = _LIBRARY_FOLDERS[platform.machine()]
    libraries = [root / "usr" / "lib" / folder, root / "lib" / folder]
    loader = libraries[0] / _LOADERS[platform.machine()]
    real = installed / "programs"
    (installed / "bin").rename(real)
    (installed / "bin").mkdir()
    for program in sorted(real.iterdir()):
        script = installed / "bin" / program.name
        script.write_text(launcher(program, loader, libraries), encoding="utf-8")
        script.chmod(0o755)


def _fetched(major: str, state: Path) -> list[Path]:
    """Download a version with everything it needs; all that apt keeps goes to a folder."""
    if not KEYS.is_file():
        raise NotToBeHad(f"it is in no pip package, and this is not a Debian ({KEYS} is not there)")
    known = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"
    )
    (state / "lists" / "partial").mkdir(parents=True)
    (state / "cache" / "archives" / "partial").mkdir(parents=True)
    (state / "sources.list").write_text(sources(mirror(known)), encoding="utf-8")
    # As if nothing were installed: what is here is of another release.
    (state / "status").touch()
    options = (
        f"Dir::Etc::SourceList={state}/sources.list",
        "Dir::Etc::SourceParts=/dev/null",
        "Dir::Etc::Preferences=/dev/null",
        "Dir::Etc::PreferencesParts=/dev/null",
        f"Dir::State::Lists={state}/lists",
        f"Dir::State::Status={state}/status",
        f"Dir::Cache={state}/cache",
        "Acquire::Languages=none",
        "APT::Keep-Downloaded-Packages=true",
        "Debug::NoLocking=1",
        *(["APT::Sandbox::User=root"] if os.geteuid() == 0 else []),
    )
    apt = ["apt-get", "-q", "-y"]
    for option in options:
        apt += ["-o", option]
    _run(*apt, "update")
    names = (f"postgresql-{major}", f"postgresql-{major}-pgvector")
    _run(*apt, "--no-install-recommends", "--download-only", "install", *names)
    return list((state / "cache" / "archives").glob("*.deb"))


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotToBeHad(f"{command[0]} failed: {said[-1] if said else done.returncode}")
    return done.stdout
