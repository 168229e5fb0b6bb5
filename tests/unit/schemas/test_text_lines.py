r"""Bytes that are no UTF-8, and half characters: one sentence with the place, wherever
they come from.

`\xff` stands in no UTF-8; `"\ud83d"` in JSON is one half of an emoji.
"""

import json
import sys
from collections.abc import Iterable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError, VectrueError
from schemas.settings.reading import load
from schemas.text_lines import decoded, is_text, read_json
from streams.cli.data import replay_options
from streams.replay import key_lines
from tests.support.command import Vectrue

HALF = '"\\ud83d"'
MODEL = b'[model]\nname = "lexical"\ndimensions = 64\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with settings."""
    monkeypatch.chdir(tmp_path)
    Path("vectrue.toml").write_bytes(MODEL)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "place", "shown"),
    [
        (["search", "a \udcff b"], 2, "a \\xff b"),
        (["search", "a", "--where", "title = '\udcff'"], 4, "title = '\\xff'"),
        (["search", "a", "-t", "\udcff"], 4, "\\xff"),
        (["score", "a", "--reference", "\udced\udca0\udcbd"], 4, "\\xed\\xa0\\xbd"),
        (["score", "\udcff", "-q", "1"], 2, "\\xff"),
        (["replay", "run", "--where", "\udcff"], 4, "\\xff"),
        (["replay", "run", "--keys", "\udcff"], 4, "\\xff"),
        (["compare", "lexical", "\udcff", "-q", "f"], 3, "\\xff"),
        (["dlq", "show", "\udcff"], 3, "\\xff"),
        (["--config", "\udcff.toml", "status"], 2, "\\xff.toml"),
        (["\udcff"], 1, "\\xff"),
    ],
)
def test_arguments(vectrue: Vectrue, arguments: list[str], place: int, shown: str) -> None:
    """Named by its number and shown, before any service is asked; exit 2, as for every
    wrong argument.
    """
    done = vectrue(*arguments)
    assert done.code == 2
    assert done.err.endswith(f"argument {place} is not UTF-8: {shown}\n")
    assert "Traceback" not in done.err


WRONG = [
    (b"\xff", "is not UTF-8: write it in UTF-8"),
    (b"\xed\xa0\xbd", "is not UTF-8: write it in UTF-8"),
    (HALF.encode(), "it holds half a character"),
    (b"[" * 100_000, "too deep"),
    (b"9" * 5000, "a number is too long"),
]


def _judged(wrong: bytes) -> bytes:
    return b'{"query": "a", "relevant": [1]}\n\n{"query": ' + wrong + b', "relevant": [1]}\n'


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_files_of_json(vectrue: Vectrue, wrong: bytes, words: str) -> None:
    """`compare` (queries and corpus), `score calibrate`: the file, the line's number
    and what is wrong; exit 1.
    """
    Path("q.jsonl").write_bytes(_judged(wrong))
    Path("c.jsonl").write_bytes(b'{"id": 1, "text": "a"}\n\n{"id": 2, "text": ' + wrong + b"}\n")
    Path("good.jsonl").write_bytes(_judged(b'"b"'))
    graded = b'{"answer": "a", "reference": "b", "grade": "good"}\n\n{"answer": ' + wrong + b"}\n"
    Path("p.jsonl").write_bytes(graded)
    models = ["compare", "lexical", "lexical:32", "-q"]
    for arguments, file in (
        ([*models, "q.jsonl", "--corpus", "c.jsonl"], "q.jsonl"),
        ([*models, "good.jsonl", "--corpus", "c.jsonl"], "c.jsonl"),
        (["score", "calibrate", "p.jsonl"], "p.jsonl"),
    ):
        done = vectrue(*arguments)
        assert done.code == 1
        assert done.err.startswith("error: ")
        assert done.err.count("\n") == 1, done.err
        assert f"line 3 of {file}" in done.err or f"{file} line 3" in done.err
        assert words in done.err


def test_standard_input(vectrue: Vectrue) -> None:
    """`score -`: the line's number."""
    done = vectrue("score", "-", "--reference", "b", stdin=b"a\n\xff\n")
    assert (done.code, done.err) == (
        1,
        "error: line 2 of standard input is not UTF-8: write it in UTF-8\n",
    )


@pytest.mark.parametrize("name", ["keys.txt", "-"])
def test_keys(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """`replay run --keys`: from a file and from standard input, the line's number; what
    stands before it is read, but for a byte order mark.
    """
    content = b"\xef\xbb\xbf17\n18\n\xff\n19\n"
    Path("keys.txt").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(content), encoding="ascii"))
    with replay_options.lines(name) as lines:
        read = key_lines.read(lines, 1, name)
        assert [next(read), next(read)] == [(1, ("17",)), (2, ("18",))]
        with pytest.raises(VectrueError, match=r"^line 3 of .* is not UTF-8: write it in UTF-8$"):
            next(read)


@pytest.mark.parametrize("line", [HALF, f'["a", {HALF}]', "[" * 100_000])
def test_keys_that_no_row_can_have(line: str) -> None:
    """JSON in a line of --keys: one sentence with the line, in which the line is cut
    short.
    """
    words = r"^line 2 of keys\.txt is not JSON \((it holds half a character|too deep)\): "
    with pytest.raises(VectrueError, match=words) as caught:
        list(key_lines.read(["", line], 1, "keys.txt"))
    assert len(str(caught.value)) < 200


def test_settings_file(vectrue: Vectrue) -> None:
    """The file and the line; exit 78, as for every wrong setting."""
    Path("vectrue.toml").write_bytes(MODEL + b'\n[score]\nwhere = "\xff"\n')
    done = vectrue("status")
    assert (done.code, done.err) == (
        78,
        "error: line 6 of vectrue.toml is not UTF-8: write it in UTF-8\n",
    )


@pytest.mark.parametrize(
    ("variable", "value", "setting"),
    [
        ("POSTGRES__DSN", "postgresql://\udcff", "postgres.dsn"),
        ("SCORE__WHERE", "\udcff", "score.where"),
        ("KAFKA__TOPIC_PREFIX", "\udcff", "kafka.topic_prefix"),
        ("SERVE__QUERY_LOG_SECRET", "\udcff" * 40, "serve.query_log_secret"),
        ("KAFKA__SECURITY", f'{{"ssl.ca": {HALF}}}', "kafka.security.ssl.ca"),
        ("KAFKA__SECURITY", f'{{{HALF}: "a"}}', "kafka.security"),
        ("TABLES", f'[{{"name": "a", "column": "e", "text": {HALF}}}]', "tables.0.text"),
        ("QUALITY__QUERIES", f'{{"a": {HALF}}}', "quality.queries"),
    ],
)
def test_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, setting: str
) -> None:
    """A variable with such bytes, or with such JSON: the setting; exit 78. The value is
    not shown.
    """
    monkeypatch.setenv(f"VECTRUE_{variable}", value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert f"setting {setting}" in str(caught.value) or setting == "quality.queries"
    assert is_text(str(caught.value))


@pytest.mark.parametrize("value", [{"a": ["😀", 1, None]}, "\ud7ff\ue000", 5, [[[[]]]], "a\\ud83d"])
def test_json_that_is_text_is_read(value: object) -> None:
    """An emoji written as two escapes is whole, and so is what only looks like half of
    one.
    """
    assert read_json(json.dumps(value)) == value
    assert read_json("9" * 5000, numbers=str) == "9" * 5000


def test_lines_are_read_as_they_come() -> None:
    """One after another: a pipe may go on for hours."""

    def lines() -> Iterable[bytes]:
        yield b"a\r\n"
        raise AssertionError("nobody asked for the second line")

    assert next(decoded(lines(), "x")) == "a\r\n"
