"""Settings: sources, precedence, errors, masking."""

from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from schemas.reports.search import SearchRequest
from schemas.settings.masking import mask_dsn
from schemas.settings.reading import load
from streams.common import targets
from streams.evaluation.compare.models import choose_table
from streams.search.search import Search

TOML = """
[model]
name = "lexical"
dimensions = 768
[[tables]]
name = "public.questions"
text = "question"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectrue.toml"
    path.write_text(TOML)
    return path


def test_flags_win_over_environment_over_file_over_defaults(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source overrides the ones below it, value by value."""
    assert load(file).model.dimensions == 768
    monkeypatch.setenv("VECTRUE_MODEL__DIMENSIONS", "512")
    assert load(file).model.dimensions == 512
    assert load(file).model.name == "lexical"
    assert load(file, model={"dimensions": 64}).model.dimensions == 64
    assert load(file).kafka.topic_prefix == "vectrue"


def test_the_file_of_the_working_directory_is_found(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --config, vectrue.toml of the working directory is read, and its absence
    is no error.
    """
    monkeypatch.chdir(file.parent)
    assert load().model.name == "lexical"
    file.unlink()
    assert load().model.name == "BAAI/bge-m3"


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    """A --config that is not there is an error that names it."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[model\n", "not valid TOML"),
        ("[model]\nnam = 1\n", "model.nam"),
        ("[model]\ndimensions = 0\n", "model.dimensions"),
        ("[kafka]\npartitions = 'six'\n", "kafka.partitions"),
        ("[postgres]\nslot = 'Upper'\n", "postgres.slot"),
        ("[[tables]]\nname = 'a.b.c'\ntext = 'x'\n", "tables.0.name"),
        (
            "[[tables]]\nname = 'a'\ntext = 'x'\n[[tables]]\nname = 'public.a'\ntext = 'y'\n",
            "listed twice",
        ),
        ("[[tables]]\nname = 'a'\n", "tables.0.text"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, named: str) -> None:
    """Each kind of mistake is one sentence with the setting's name, exit code 78."""
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=named) as caught:
        load(path)
    assert caught.value.exit_code == 78
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://user:s3cret@host/db",
        "host=h user=u password=s3cret dbname=d",
        "host=h password='s3cret' user=u",
        "host=h PASSWORD = 's3cret with \\' quote'",
        "postgresql://user:s3cret@host/db?sslmode=require",
        "postgresql://host/db?user=u&password=s3cret",
    ],
)
def test_no_password_is_shown(dsn: str) -> None:
    """A password never survives masking, in any form of a connection string."""
    assert "s3cret" not in mask_dsn(dsn)


def test_masked_settings_hold_no_secret(file: Path) -> None:
    """`config show` prints neither database passwords nor SASL secrets."""
    settings = load(
        file,
        postgres={"dsn": "postgresql://u:s3cret@h/d", "admin_dsn": "password=s3cret"},
        kafka={
            "security": {
                "sasl.password": "s3cret",
                "sasl.username": "app",
                "ssl.key.password": "s3cret",
            }
        },
    )
    assert "s3cret" not in str(settings.masked())
    assert settings.masked()["kafka"]["security"]["sasl.username"] == "app"


def test_the_slot_is_made_from_the_topic_prefix(file: Path) -> None:
    """A slot's name may hold only lower-case letters, digits and underscores; a prefix
    may hold more.
    """
    assert load(file, kafka={"topic_prefix": "Shop.eu-1"}).slot == "shop_eu_1"
    assert load(file, postgres={"slot": "mine"}).slot == "mine"


def test_a_table_that_is_not_configured_is_refused_with_those_that_are() -> None:
    """By one sentence, whichever command has the option; a typing error never widens
    the scope.
    """
    settings = load(
        tables=[{"name": "app.notes", "text": "x"}, {"name": "public.words", "text": "x"}]
    )
    said = (
        r"table public\.notes is not among \[\[tables\]\]: "
        r"correct --table: app\.notes, public\.words"
    )
    for ask in (
        settings.only,
        lambda tables: targets.choose(settings, None, tables),  # type: ignore[arg-type]  # nothing is asked
        lambda tables: Search(settings, None).find(SearchRequest("text", tuple(tables))),  # type: ignore[arg-type]  # nor here
        lambda tables: choose_table(settings, *tables),
    ):
        with pytest.raises(ConfigurationError, match=said):
            ask(["notes"])
    assert [table.name for table in settings.only(["app.notes"]).tables] == ["app.notes"]
    assert settings.only(None) is settings.only([]) is settings
