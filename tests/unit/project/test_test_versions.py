"""`make test-versions`: what it runs exists, where it looks, and what it reports."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.support.root import ROOT
from tests.versions import debian
from tests.versions.core import CORE
from tests.versions.debian import NotToBeHad
from tests.versions.installations import VERSIONS, installed
from tests.versions.results import Counts, Result, exit_code, read, reasons, table

REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure>x</failure></testcase>
<testcase name="c"><error>x</error></testcase><testcase name="d"><skipped/></testcase>
</testsuite></testsuites>"""


def test_the_core_exists() -> None:
    """A file that was renamed is not left out without a word."""
    assert [file for file in CORE if not (ROOT / file).is_file()] == []
    assert len(set(CORE)) == len(CORE)


def test_the_readme_claims_what_is_run() -> None:
    """Every version that is tried is named in the README, with the command."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    claim = readme.partition("- Tested on PostgreSQL")[2].partition("\n- ")[0]
    assert "make test-versions" in claim
    assert [major for major in VERSIONS if major not in claim] == []


def test_a_version_is_looked_for_near_before_far(tmp_path: Path) -> None:
    """The pip package, then the machine if it has pgvector too, then Debian."""

    def fetch(major: str, folder: Path) -> Path:
        return folder / major

    system, shared = tmp_path / "lib", tmp_path / "share"
    assert installed("16", system, shared, fetch) == "16"
    (system / "17" / "bin").mkdir(parents=True)
    (system / "17" / "bin" / "postgres").touch()
    assert installed("17", system, shared, fetch).endswith("postgresql-17/17")
    (shared / "17" / "extension").mkdir(parents=True)
    (shared / "17" / "extension" / "vector.control").touch()
    assert installed("17", system, shared, fetch) == str(system / "17")


def test_debian_comes_from_the_mirror_that_the_machine_uses() -> None:
    """Not that of security updates; and without one, a sentence."""
    known = "http://m/debian-security/ bookworm-security\nhttp://m/debian/ bookworm\n"
    assert debian.mirror(known) == "http://m/debian/"
    assert f"http://m/debian/ {debian.RELEASE} main" in debian.sources("http://m/debian/")
    with pytest.raises(NotToBeHad, match="no mirror of Debian"):
        debian.mirror("http://m/ubuntu noble\n")


def test_only_server_and_libraries_are_unpacked() -> None:
    """Of 90 packages, without compiler, Perl and documentation."""
    names = (
        "libpq5_17_amd64.deb",
        "libllvm19_1_amd64.deb",
        "perl_5_amd64.deb",
        "locales_2_all.deb",
        "postgresql-common_2_all.deb",
        "postgresql-17_17_amd64.deb",
        "zlib1g_1_amd64.deb",
    )
    kept = [path.name for path in debian.wanted(Path(name) for name in names)]
    assert kept == ["libpq5_17_amd64.deb", "postgresql-17_17_amd64.deb", "zlib1g_1_amd64.deb"]


def test_a_launcher_keeps_the_arguments(tmp_path: Path) -> None:
    """The loader gets the path of the script as the program's name, for PostgreSQL to
    find its files.
    """
    text = debian.launcher(Path("/r/a b/psql"), Path("/r/ld.so"), [Path("/r/lib"), Path("/r/l2")])
    assert text.splitlines()[1] == (
        'exec /r/ld.so --library-path /r/lib:/r/l2 --argv0 "$0" \'/r/a b/psql\' "$@"'
    )


def test_failures_and_missing_versions_are_told(tmp_path: Path) -> None:
    """An error counts as a failure, a version that was not run is a sentence, and a run
    in which nothing passed is not a success.
    """
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="ascii")
    assert read(report) == Counts(passed=1, failed=2, skipped=1)
    assert read(tmp_path / "none.xml") == Counts()
    good = Result("16", "", "16.14", "0.8.5", Counts(3), 61.4)
    absent = Result("17", skipped="there is no apt-get")
    assert [exit_code([good, absent]), exit_code([absent]), exit_code([])] == [0, 1, 1]
    assert exit_code([good, Result("18", counts=Counts(1, 1))]) == 1
    assert exit_code([Result("18")]) == 1
    assert reasons([good, absent]) == ["PostgreSQL 17 was not run: there is no apt-get"]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table([good, absent]))
    assert all(word in shown.get() for word in ("16.14", "0.8.5", "61", "not run"))
