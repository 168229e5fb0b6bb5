"""jars.txt and the folder of jars."""

import hashlib
from pathlib import Path

import pytest

from connectors.clock import SystemClock
from connectors.local.machine import versions
from connectors.local.services import jars
from connectors.local.services.jars import Jar
from schemas.errors import ConfigurationError, VectrueError

CONTENT = b"a jar"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
JAR = Jar("org.example", "thing", "1.0", DIGEST)


class _Repository:
    """Stands in for jgo: every artifact resolves to a file with the given bytes, or
    fails while that lasts.
    """

    def __init__(self, cache: Path, content: bytes, failures: int = 0) -> None:
        self.cached_path = cache / "thing-1.0.jar"
        self._content = content
        self.failures = failures

    def project(self, _group: str, _artifact: str) -> "_Repository":
        return self

    def at_version(self, _version: str) -> "_Repository":
        return self

    def artifact(self) -> "_Repository":
        return self

    def resolve(self) -> Path:
        if self.cached_path.exists():  # as jgo does
            return self.cached_path
        self.cached_path.write_bytes(self._content if not self.failures else self._content[:2])
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the line broke")
        return self.cached_path


class _NoWait(SystemClock):
    def wait(self, seconds: float) -> None:
        """Do not wait."""


def _use(monkeypatch: pytest.MonkeyPatch, content: bytes, failures: int = 0) -> None:
    monkeypatch.setattr(jars, "_maven", lambda cache: _Repository(cache, content, failures))


def test_the_list_names_what_versions_py_says() -> None:
    """jars.txt holds Kafka and Debezium in the versions that the rest of the project
    names, and no jar twice.
    """
    listed = {f"{jar.group}:{jar.artifact}": jar.version for jar in jars.read_list()}
    assert len(listed) == 103
    assert listed["org.apache.kafka:kafka_2.13"] == versions.KAFKA
    assert listed["org.apache.kafka:connect-runtime"] == versions.KAFKA
    assert {v for name, v in listed.items() if name.startswith("org.apache.kafka:")} == {
        versions.KAFKA
    }
    assert {v for name, v in listed.items() if name.startswith("io.debezium:")} == {
        versions.DEBEZIUM
    }


@pytest.mark.parametrize(
    "line", ["a:b:1", "a:b 00", f"a:b {DIGEST}", f"a::1 {DIGEST}", f"a:b:1 {DIGEST[:-1]}X"]
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """A line that is not `group:artifact:version sha256` is an error that names the
    file and the line.
    """
    file = tmp_path / "jars.txt"
    file.write_text(f"# a comment\n\n{line}\n", encoding="ascii")
    with pytest.raises(ConfigurationError, match=r"line 3 of .*jars\.txt"):
        jars.read_list(file)


def test_two_jars_of_one_file_name_are_refused(tmp_path: Path) -> None:
    """Two jars that would overwrite each other in the folder are refused."""
    file = tmp_path / "jars.txt"
    file.write_text(f"a:thing:1 {DIGEST}\nb:thing:1 {DIGEST}\n", encoding="ascii")
    with pytest.raises(ConfigurationError, match=r"line 2 .* repeats thing-1\.jar"):
        jars.read_list(file)


def test_a_wrong_checksum_names_jar_expected_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetched jar that is not the one of jars.txt stops the start, is named with both
    sums, and is not kept.
    """
    _use(monkeypatch, b"another jar")
    with pytest.raises(ConfigurationError) as caught:
        jars.ensure([JAR], tmp_path, SystemClock(), lambda _arrived, _all: None)
    found = hashlib.sha256(b"another jar").hexdigest()
    assert str(JAR) in caught.value.message
    assert DIGEST in caught.value.message
    assert found in caught.value.message
    assert str(tmp_path / "thing-1.0.jar") in (caught.value.fix or "")
    assert not list(tmp_path.rglob("*.jar"))


def test_a_partial_download_never_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a jar, in the folder or left by a broken line, is fetched again; the whole
    one takes its place.
    """
    (tmp_path / JAR.file_name).write_bytes(CONTENT[:2])
    assert jars.present([JAR], tmp_path) == []
    _use(monkeypatch, CONTENT, failures=2)
    seen: list[tuple[int, int]] = []
    files = jars.ensure(
        [JAR], tmp_path, _NoWait(), lambda arrived, total: seen.append((arrived, total))
    )
    assert [file.read_bytes() for file in files] == [CONTENT]
    assert seen == [(0, 1), (1, 1)]
    assert not (tmp_path / "partial").exists()


def test_what_is_there_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every jar present and right, the repository is not asked at all."""
    (tmp_path / JAR.file_name).write_bytes(CONTENT)

    def refuse(cache: Path) -> None:
        raise AssertionError(f"asked for something to put into {cache}")

    monkeypatch.setattr(jars, "_maven", refuse)
    assert jars.ensure([JAR], tmp_path, SystemClock(), lambda _arrived, _all: None) == [
        tmp_path / JAR.file_name
    ]


def test_a_line_that_stays_broken_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a jar cannot be fetched after several attempts, the error names it and says
    that it can be copied.
    """
    _use(monkeypatch, CONTENT, failures=99)
    with pytest.raises(
        VectrueError, match=r"cannot fetch org\.example:thing:1\.0 .*the line broke.*copy"
    ):
        jars.ensure([JAR], tmp_path, _NoWait(), lambda _arrived, _all: None)
