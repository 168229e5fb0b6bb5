"""Settings, arguments and files that no ordinary use brings: one sentence with the
place, never a traceback.
"""

import json
from pathlib import Path

import pytest

from connectors.models.files.layout import read_layout
from schemas.errors import ModelUnavailable
from tests.support.command import Vectrue

MODEL = b'[model]\nname = "lexical"\ndimensions = 64\n'
LONG = "a" * 5_000
MANY = "9" * 5_000
DEEP = "[" * 100_000
LEXICAL = ["compare", "lexical", "lexical:32"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with settings and one judged query."""
    monkeypatch.chdir(tmp_path)
    Path("vectrue.toml").write_bytes(MODEL)
    Path("q.jsonl").write_text('{"query": "a", "relevant": [1]}\n', encoding="utf-8")
    Path("c.jsonl").write_text('{"id": 1, "text": "a"}\n', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["verify", "--deep", MANY], 2, "neither a number of rows nor all"),
        (
            ["adopt", "-t", "public.t", "--model", "lexical", "--sample", MANY],
            2,
            "neither a number of rows nor all",
        ),
        (["--config", LONG, "status"], 78, "there is no configuration file"),
        (["serve", "--host", ""], 78, "setting host: "),
        (
            [
                "compare",
                "lexical",
                "lexical:99999999999999999999999",
                "-q",
                "q.jsonl",
                "--corpus",
                "c.jsonl",
            ],
            78,
            "9999",
        ),
        (["compare", "lexical", LONG, "-q", "q.jsonl", "--corpus", "c.jsonl"], 78, "aaaa"),
        ([*LEXICAL, "-q", "q\0.jsonl", "--corpus", "c.jsonl"], 2, "null byte"),
        ([*LEXICAL, "-q", "q.jsonl", "--corpus", "c.jsonl", "--html", f"{LONG}/x"], 1, "--html"),
        (["model", "info", LONG], 78, "aaaa"),
    ],
)
def test_arguments(vectrue: Vectrue, arguments: list[str], code: int, words: str) -> None:
    """Numbers and names of thousands of characters, and what no file or machine can be
    called.
    """
    done = vectrue(*arguments)
    assert "Traceback" not in done.err
    assert done.code == code, done.err
    assert words in done.err


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("VECTRUE_TABLES", DEEP, "nested too deep"),
        ("VECTRUE_CONNECT__URL", "http://a..b", "has an invalid host name"),
        ("VECTRUE_KAFKA__SECURITY", '{"stats_cb": "x"}', "kafka.security holds an option"),
        ("VECTRUE_KAFKA__SECURITY", '{"oauth_cb": "x"}', "kafka.security holds an option"),
        ("VECTRUE_SERVE__REQUEST_SECONDS", "inf", "setting serve.request_seconds: "),
        ("VECTRUE_SERVE__REQUEST_SECONDS", "nan", "setting serve.request_seconds: "),
    ],
)
def test_variables(
    vectrue: Vectrue, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    """Settings by variable, as `doctor` meets them: it asks every service."""
    monkeypatch.setenv(variable, value)
    done = vectrue("doctor")
    assert "Traceback" not in done.err + done.out
    assert words in " ".join((done.err + done.out).split())


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_that_is_none(vectrue: Vectrue, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """`serve --host`: what no machine can be called."""
    monkeypatch.setenv("VECTRUE_SERVE__TOKEN", "0123456789abcdef")
    done = vectrue("serve", "--host", host, "--port", "1")
    assert done.code == 78
    assert "cannot listen on" in done.err
    assert "Traceback" not in done.err


def test_a_variable_of_libpq_that_is_no_text(
    vectrue: Vectrue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What libpq quotes in its refusal."""
    monkeypatch.setenv("PGSSLMODE", "\udcff")
    monkeypatch.setenv("VECTRUE_POSTGRES__DSN", "postgresql://a:b@127.0.0.1:1/c")
    done = vectrue("status")
    assert (done.code, done.err.count("\n")) == (78, 1), done.err
    assert "the connection to Postgres is not UTF-8" in done.err


def test_a_connection_string_that_is_none(
    vectrue: Vectrue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers' is looked at although another role sets the database up."""
    monkeypatch.setenv("VECTRUE_POSTGRES__DSN", "foo bar")
    monkeypatch.setenv("VECTRUE_POSTGRES__ADMIN_DSN", "postgresql://a:b@127.0.0.1:1/c")
    done = vectrue("init", "--print-sql")
    assert "Traceback" not in done.err
    assert done.code in (1, 78)


@pytest.mark.parametrize("content", [f"x = {DEEP}", f"[kafka]\npartitions = {MANY}"])
def test_a_settings_file(vectrue: Vectrue, content: str) -> None:
    """TOML that its parser gives up: the file is named; exit 78."""
    Path("vectrue.toml").write_text(content, encoding="utf-8")
    done = vectrue("status")
    assert (done.code, done.err.count("\n")) == (78, 1), done.err[:300]
    assert "vectrue.toml" in done.err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("modules.json", '{"a": 1}'),
        ("modules.json", '[{"type": 1}]'),
        ("modules.json", '["a"]'),
        ("modules.json", DEEP),
        ("config_sentence_transformers.json", "[1]"),
    ],
)
def test_files_of_a_model(tmp_path: Path, file: str, content: str) -> None:
    """JSON of another shape than a model's: the file is named."""
    good = json.dumps(
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    )
    (tmp_path / "modules.json").write_text(good, encoding="utf-8")
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=file):
        read_layout(tmp_path)
