"""No file of the repository names the host of a package registry."""

import re

from tests.support.root import ROOT
from tests.unit.project.test_documents import repository

# In parts, so that this file itself names none.
HOSTS = tuple(
    f"{name}.{end}"
    for name, end in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("maven", "org"),
        ("maven.apache", "org"),
        ("sonatype", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("conda", "io"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("download.pytorch", "org"),
    )
)


def test_no_file_names_a_registry() -> None:
    """The host of a package registry is whoever installs's own choice: no file of the
    repository names one.
    """
    pattern = re.compile("|".join(rf"\b{re.escape(host)}\b" for host in HOSTS), re.IGNORECASE)
    found = []
    for file in repository():
        text = file.read_bytes().decode("utf-8", errors="replace")
        found += [f"{file.relative_to(ROOT)} ({match[0]})" for match in pattern.finditer(text)]
    assert not found, f"registries are named in {', '.join(found)}"
