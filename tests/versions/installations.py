"""Where a major version of PostgreSQL with pgvector is found on this machine."""

from collections.abc import Callable
from pathlib import Path

from connectors.local.services.postgres_programs import BUNDLED
from tests.support.root import ROOT
from tests.versions import debian

VERSIONS = ("16", "17", "18")
"""Those that the README claims."""


def installed(
    major: str,
    system: Path = Path("/usr/lib/postgresql"),
    shared: Path = Path("/usr/share/postgresql"),
    fetch: Callable[[str, Path], Path] = debian.unpacked,
) -> str:
    """What `--postgres` takes for a version: of the pip package, of this machine, or of
    Debian.

    Raises:
        NotToBeHad: none of them has it.
    """
    if major in BUNDLED:
        return major
    has_server = (system / major / "bin" / "postgres").is_file()
    has_pgvector = (shared / major / "extension" / "vector.control").is_file()
    if has_server and has_pgvector:
        return str(system / major)
    return str(fetch(major, ROOT / ".vectrue" / f"postgresql-{major}"))
