"""Settings: one frozen object, read in one place.

Sources, first wins: command-line flags, `VECTRUE_*` variables (the TOML path joined by
`__`), `vectrue.toml`, the defaults below. Nothing else in the project reads the
environment.

Hazard: `postgres.dsn` may hold a password, so it is shown only through `masked()`.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from schemas.errors import ConfigurationError, VectrueError
from schemas.health import canary
from schemas.rows.table import TableName
from schemas.settings.masking import mask_dsn, mask_options
from schemas.settings.paths import is_file
from schemas.settings.sections import (
    CanarySettings,
    ConnectSettings,
    DeadLetterSettings,
    KafkaSettings,
    KeeperSettings,
    LiveSettings,
    LogSettings,
    MetricsSettings,
    ModelSettings,
    PostgresSettings,
    QualitySettings,
    ReplaySettings,
    ScoreSettings,
    ServeSettings,
    TableSettings,
    WatchdogSettings,
)
from schemas.text_lines import decoded, is_text

CONFIG_FILE = Path("vectrue.toml")


class Settings(BaseSettings):
    """Everything that can be set. Frozen; unknown names are errors."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="VECTRUE_",
        env_nested_delimiter="__",
        # A variable for one field of a section leaves its other fields as they are.
        nested_model_default_partial_update=True,
        # The input may be a password.
        hide_input_in_errors=True,
    )

    model: ModelSettings = ModelSettings()
    postgres: PostgresSettings = PostgresSettings()
    kafka: KafkaSettings = KafkaSettings()
    connect: ConnectSettings = ConnectSettings()
    tables: tuple[TableSettings, ...] = ()
    live: LiveSettings = LiveSettings()
    replay: ReplaySettings = ReplaySettings()
    keeper: KeeperSettings = KeeperSettings()
    canary: CanarySettings = CanarySettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    watchdog: WatchdogSettings = WatchdogSettings()
    score: ScoreSettings = ScoreSettings()
    metrics: MetricsSettings = MetricsSettings()
    serve: ServeSettings = ServeSettings()
    quality: QualitySettings = QualitySettings()
    log: LogSettings = LogSettings()

    _file: Path | None = PrivateAttr(None)
    _was_read: bool = PrivateAttr(False)

    @property
    def file(self) -> Path | None:
        """The settings file: where it is, or would be.

        None where these settings were not loaded.
        """
        return self._file

    @property
    def was_read(self) -> bool:
        """Whether there was such a file."""
        return self._was_read

    @model_validator(mode="after")
    def _distinct_tables(self) -> Self:
        seen: set[str] = set()
        twice: set[str] = set()
        for table in self.tables:
            place = f"{table.name}.{table.column}"
            if place in seen:
                twice.add(place)
            seen.add(place)
        if twice:
            raise ValueError(f"tables: {', '.join(sorted(twice))} is listed twice")
        return self

    @model_validator(mode="after")
    def _judged_tables(self) -> Self:
        if unknown := set(self.quality.queries) - {table.name for table in self.tables}:
            raise ValueError(f"quality.queries: table {min(unknown)} is not among [[tables]]")
        return self

    @model_validator(mode="after")
    def _named_by_prefix(self) -> Self:
        """Take unset names in Postgres from the prefix: two installations share none."""
        made = slug(self.kafka.topic_prefix)
        unset: dict[str, str] = {}
        for name in ("publication", "origin"):
            if not getattr(self.postgres, name):
                unset[name] = made
        # The settings are frozen once they have been validated.
        object.__setattr__(self, "postgres", self.postgres.model_copy(update=unset))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def slot(self) -> str:
        """Name of the replication slot.

        Lower case, at most 63 characters, unique in the server.
        """
        return self.postgres.slot or slug(self.kafka.topic_prefix)

    @property
    def connector(self) -> str:
        """Name of the connector in Kafka Connect."""
        return self.connect.connector or f"{self.kafka.topic_prefix}-postgres"

    @property
    def live_group(self) -> str:
        """Consumer group of the live lane."""
        return f"{self.kafka.topic_prefix}-live"

    @property
    def replay_group(self) -> str:
        """Consumer group of the replay lane."""
        return f"{self.kafka.topic_prefix}-replay"

    @property
    def replay_topic(self) -> str:
        """Topic that replay chunks travel through."""
        return f"{self.kafka.topic_prefix}.replay"

    @property
    def deferred_topic(self) -> str:
        """Topic of rows to be looked at again later.

        They were locked, or changed by a transaction that is not visible yet.
        """
        return f"{self.kafka.topic_prefix}.deferred"

    @property
    def canary_topic(self) -> str:
        """Topic of the row that every verdict is judged by."""
        return canary.TABLE.topic(self.kafka.topic_prefix)

    @property
    def dead_letter_topic(self) -> str:
        """Topic of the events that could not be understood."""
        return f"{self.kafka.topic_prefix}.dlq"

    def only(self, tables: Iterable[str] | None) -> Self:
        """The same settings with only the named tables; with all when none is named.

        Raises:
            ConfigurationError: a table is not configured, so that a typing error never
                widens the scope.
        """
        names = {TableName.parse(name) for name in tables or ()}
        for name in sorted(names - {table.table for table in self.tables}):
            # A table with several columns is listed once for each.
            listed: dict[str, None] = {}
            for table in self.tables:
                listed[table.name] = None
            known = ", ".join(listed) or "there are none"
            raise ConfigurationError(
                f"table {name} is not among [[tables]]", fix=f"correct --table: {known}"
            )
        if not names:
            return self
        kept: list[TableSettings] = []
        for table in self.tables:
            if table.table in names:
                kept.append(table)
        return self.model_copy(update={"tables": tuple(kept)})

    def masked(self) -> dict[str, Any]:
        """The settings as plain data, every secret replaced by `***`."""
        shown = self.model_dump(mode="json")
        for name in ("dsn", "admin_dsn"):
            if shown["postgres"][name]:
                shown["postgres"][name] = mask_dsn(shown["postgres"][name])
        # A URL may hold a password for basic authentication.
        shown["connect"]["url"] = mask_dsn(shown["connect"]["url"])
        shown["kafka"]["security"] = mask_options(self.kafka.security)
        for name in ("token", "query_log_secret"):
            if shown["serve"][name]:
                shown["serve"][name] = "***"
        return shown


def slug(prefix: str) -> str:
    """A topic prefix as part of names in Postgres.

    Lower case, at most 63 characters. Two prefixes may have the same.
    """
    # Postgres keeps 63 bytes of a name and takes only these characters in a slot's.
    return re.sub(r"[^a-z0-9]", "_", prefix.lower())[:63]


def load(config: Path | None = None, **flags: object) -> Settings:
    """Read the settings.

    Args:
        config: the TOML file; `vectrue.toml` of the working directory, where there is
            one, when None.
        flags: values from the command line by section name (already nested), which win
            over everything else.

    Raises:
        ConfigurationError: the file is missing or not TOML, or a value is wrong; the
            message names the setting.
    """
    if config is not None and not is_file(config):
        raise ConfigurationError(f"there is no configuration file {config}", fix="check --config")
    file = config or CONFIG_FILE
    if is_file(file):
        _check_toml(file)
    settings = _validated(file, flags)
    # A variable may hold bytes that are not UTF-8, and its JSON may escape half a character.
    for name, text in _texts("", settings.model_dump()):
        if not is_text(text):
            raise ConfigurationError(
                f"setting {name}: not UTF-8",
                fix=f"correct it in {file} or in the environment",
            )
    # With flags no file says what these settings are.
    if not flags:
        settings._file, settings._was_read = file.absolute(), is_file(file)  # noqa: SLF001 - frozen for everyone else
    return settings


def _validated(file: Path, flags: dict[str, object]) -> Settings:
    """Read and check every source; errors name the setting and never its value."""
    # pydantic-settings takes the path from the class, so each file needs its own class.
    sourced = type(
        "Settings",
        (Settings,),
        {"model_config": SettingsConfigDict(toml_file=file), "__module__": __name__},
    )
    try:
        settings: Settings = sourced(**flags)
    except RecursionError:
        raise ConfigurationError(
            "a VECTRUE_ variable is nested too deep", fix="correct it"
        ) from None
    except ValidationError as error:
        raise ConfigurationError(
            explained(error), fix=f"correct it in {file} or in the environment"
        ) from error
    except SettingsError:
        # Its cause quotes the value, so it is left out of the chain.
        raise ConfigurationError(
            "a VECTRUE_ variable of a table of settings is not JSON",
            fix="""write it like VECTRUE_KAFKA__SECURITY='{"security.protocol": "SASL_SSL"}'""",
        ) from None
    return settings


def child_environment(**more: str) -> dict[str, str]:
    """Environment for a child process: this one's, with `more` on top."""
    return {**os.environ, **more}


def _check_toml(file: Path) -> None:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error.strerror})", fix="correct its permissions"
        ) from error
    try:
        # tomllib would report bytes that are not UTF-8 without the number of their line.
        list(decoded(content.splitlines(), str(file)))
        tomllib.loads(content.decode())
    except VectrueError as error:
        raise ConfigurationError(error.message, fix=error.fix) from error
    # A number of thousands of digits is a plain ValueError, not a TOMLDecodeError.
    except ValueError as error:
        raise ConfigurationError(
            f"{file} is not valid TOML ({error})", fix="correct that line"
        ) from error
    except RecursionError:
        raise ConfigurationError(
            f"{file} is nested too deep to be read", fix="correct it"
        ) from None


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text of the settings, keys too, with the setting's name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield name, key
            yield from _texts(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(name, inner)
    elif isinstance(value, SecretStr):
        yield name, value.get_secret_value()
    elif isinstance(value, str):
        yield name, value


def explained(error: ValidationError) -> str:
    """Each setting that is refused, and why, without its value."""
    problems = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "settings"
        # pydantic's own words are about raw data
        what = (
            "not UTF-8"
            if item["type"] == "string_unicode"
            else item["msg"].removeprefix("Value error, ")
        )
        problems.append(f"setting {where}: {what}")
    return "; ".join(problems)


def cache_directory() -> Path:
    """Folder for what can be fetched again, one per user.

    It is `~/.cache/vectrue`, or below XDG_CACHE_HOME.

    A user without a home, as in some containers, gets the root folder for one.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification ignores a relative path.
    if base.startswith("/"):
        return Path(base) / "vectrue"
    try:
        home = Path.home()
    except RuntimeError:
        home = Path("/")
    return home / ".cache" / "vectrue"
