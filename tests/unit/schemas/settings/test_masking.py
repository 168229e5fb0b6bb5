"""No password in what is shown, whatever characters it has."""

import string
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.session import connect
from schemas.errors import VectrueError
from schemas.settings.masking import mask_dsn
from schemas.settings.reading import Settings, load

PASSWORDS = st.text(alphabet="@:/'\"% ?&#=\\" + string.ascii_letters, min_size=1, max_size=12).map(
    lambda made: f"s3c{made}r3t"
)


def _quoted(password: str) -> str:
    return "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(password=PASSWORDS)
def test_no_part_of_a_password_is_shown(password: str) -> None:
    """URL (encoded, or wrongly not), key=value, and a query parameter: its beginning
    and its end are hidden.
    """
    for dsn in (
        f"postgresql://u:{quote(password, safe='')}@h/d",
        f"postgresql://u:{password}@h/d",
        f"postgresql://u@h/d?password={quote(password, safe='')}&sslmode=require",
        f"postgresql://u@h/d?pass%77ord={quote(password, safe='')}",
        f"host=h password={_quoted(password)} user=u",
        f"host=h sslpassword = {_quoted(password)}",
        f"u:{password.replace('=', '')}@h",
    ):
        shown = str(Settings(postgres={"dsn": dsn}).masked())
        assert "s3c" not in shown
        assert "r3t" not in shown


@pytest.mark.parametrize(
    "password", ["s3c@r3t", "s3c/r3t", "s3c:r3t@x/y", "s3c?r3t", "s3c r3t", "s3c%r3t", "s3c#r3t"]
)
def test_an_error_of_libpq_holds_no_part_of_a_password(password: str) -> None:
    """A password that was not percent-encoded is misread by libpq, which quotes the
    pieces.
    """
    with pytest.raises(VectrueError) as refused:
        connect(f"postgresql://u:{password}@127.0.0.1:1/d", role="test")
    assert "s3c" not in str(refused.value)
    assert "r3t" not in str(refused.value)
    assert isinstance(refused.value.__cause__, psycopg2.Error)


def test_the_rest_of_a_connection_string_is_shown() -> None:
    """Who, where and how stay readable."""
    assert (
        mask_dsn("postgresql://u:p@h:5/d?sslmode=require")
        == "postgresql://u:***@h:5/d?sslmode=require"
    )
    assert mask_dsn("host=h password=p\\ q user=u") == "host=h password=*** user=u"
    assert mask_dsn("postgresql://u@h/d") == "postgresql://u@h/d"


def test_options_of_kafka_are_masked() -> None:
    """Every secret option of librdkafka, by what its name holds."""
    names = (
        "sasl.password",
        "ssl.key.password",
        "sasl.oauthbearer.client.secret",
        "ssl.key.pem",
        "SASL.PASSWORD",
    )
    shown = Settings(
        kafka={"security": {**dict.fromkeys(names, "s3cr3t"), "sasl.username": "u"}}
    ).masked()
    assert "s3cr3t" not in str(shown)
    assert shown["kafka"]["security"]["sasl.username"] == "u"


def test_the_token_of_the_server_is_masked() -> None:
    """Neither `config show` nor a repr holds it."""
    settings = Settings(serve={"token": "s3cr3t-0123456789"})
    assert settings.masked()["serve"]["token"] == "***"
    assert "s3cr3t" not in repr(settings)
    assert Settings().masked()["serve"]["token"] is None


@pytest.mark.parametrize("token", ["s3cr3t", "s3cr3t 0123456789", "s3cr3t-0123456789-비밀", ""])
def test_a_weak_token_is_refused_and_not_quoted(token: str) -> None:
    """A token that is short, or no header could carry, is refused by the setting's
    name.
    """
    with pytest.raises(VectrueError, match=r"serve\.token") as refused:
        load(serve={"token": token})
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VECTRUE_KAFKA__SECURITY", '{"sasl.password": "s3cr3t"'),
        ("VECTRUE_KAFKA__SECURITY", '{"sasl.password": ["s3cr3t"]}'),
        ("VECTRUE_KAFKA__SECURITY", '"s3cr3t"'),
    ],
)
def test_a_wrong_value_is_not_quoted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither the sentence nor the error below it, which --debug shows, holds the
    value.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(VectrueError) as refused:
        load()
    assert "s3cr3t" not in f"{refused.value} {refused.value.__cause__}"


def test_a_traceback_shows_no_local_variables() -> None:
    """Where a bug ends a worker, its log has the stack but not the values in it, for
    people and as JSON.
    """
    program = (
        "import structlog; from schemas.settings.reading import LogSettings; from "
        "streams.common import logs\n"
        "def broken():\n    dsn = 's3c' + 'r3t'\n    raise RuntimeError('a bug')\n"
        "logs.configure(LogSettings(format={form!r}))\n"
        "try:\n    broken()\nexcept RuntimeError as error:\n    "
        "structlog.get_logger().critical('x', exc_info=error)\n"
    )
    for form in ("console", "json"):
        command = [sys.executable, "-c", program.replace("{form!r}", repr(form))]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert "RuntimeError" in done.stderr
        assert "s3cr3t" not in done.stderr
