"""docs/reliability.md, faults.md and soak.md name tests and files that exist."""

import re

from tests.support.root import ROOT

PAGE = "\n".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("reliability.md", "faults.md", "soak.md")
)


def test_every_test_that_is_named_exists() -> None:
    """`file::test` on the page is a test in that file."""
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 10
    missing = [
        f"{file}::{name}"
        for file, name in named
        if f"def {name}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert missing == []


def test_every_file_that_is_named_exists() -> None:
    """Paths in back quotes."""
    files = re.findall(r"`((?:tests|streams|connectors|schemas)/[\w/]+\.py)", PAGE)
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_promise_is_there() -> None:
    """I1 to I13, once each."""
    assert re.findall(r"^\| (I\d+) \|", PAGE, re.MULTILINE) == [
        f"I{number}" for number in range(1, 14)
    ]
