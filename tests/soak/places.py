"""Where a campaign works: the database with its tables, and the configurations of its
installations.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from connectors.local.stack import Endpoints
from connectors.postgres.session import Session
from schemas.settings.reading import Settings, load
from tests.soak.audit import WORKER
from tests.soak.tables import DIMENSIONS, TABLES
from tests.support import workplace
from tests.support.proxy import HOST, Proxy
from tests.support.workplace import Workplace

NAME = "soak"
PASSWORD = "campaign"
CONFIGURED = [{"name": f"public.{table.name}", "text": table.expression} for table in TABLES]


@dataclass(frozen=True)
class Places:
    """What a campaign works with.

    Attributes:
        settings: of the workers, which go through the proxies.
        config: the same as a file.
        direct: the same without the proxies.
        second: configuration of a second installation, of a table of its own.
        colleague: the workers' configuration without one of its tables.
    """

    settings: Settings
    config: Path
    direct: Settings
    second: Path
    colleague: Path


def settings_for(
    endpoints: Endpoints,
    ways: dict[str, Proxy],
    *,
    direct: bool,
    prefix: str = NAME,
    tables: Sequence[dict[str, str]],
) -> Settings:
    """Settings of an installation.

    Args:
        endpoints: of the stack.
        ways: the proxies.
        direct: whether it reaches Postgres and Kafka past the proxies.
        prefix: of its topics.
        tables: its [[tables]].
    """
    admin = endpoints.postgres_dsn if direct else _through(endpoints.postgres_dsn, ways["postgres"])
    worker = (
        urlsplit(admin)
        ._replace(netloc=f"{WORKER}:{PASSWORD}@{urlsplit(admin).netloc.rpartition('@')[2]}")
        .geturl()
    )
    servers = endpoints.bootstrap_servers if direct else f"{HOST}:{ways['kafka'].port}"
    return load(
        model={"name": "lexical", "dimensions": DIMENSIONS},
        postgres={"dsn": worker, "admin_dsn": admin},
        kafka={"bootstrap_servers": servers, "topic_prefix": prefix, "session_timeout_seconds": 6},
        connect={
            "url": endpoints.connect_url,
            "heartbeat_seconds": 1,
            "database_host": HOST,
            "database_port": ways["capture"].port,
        },
        canary={"seconds": 1, "late_seconds": 10},
        replay={"chunk_size": 100},
        tables=list(tables),
    )


def _through(dsn: str, way: Proxy) -> str:
    made, replaced = re.subn(r":\d+/", f":{way.port}/", dsn)
    if replaced != 1:
        raise ValueError("the connection string has no single port")
    return made


def prepare(endpoints: Endpoints, ways: dict[str, Proxy], directory: Path) -> Workplace:
    """A database with the tables of the campaign, and settings that lead through the
    proxies.
    """
    settings = settings_for(endpoints, ways, direct=False, tables=CONFIGURED)
    place = Workplace(
        endpoints, settings, Session(settings.postgres.admin, role=NAME), directory, settings
    )
    place.execute("CREATE EXTENSION vector")
    place.execute(f"CREATE ROLE {WORKER} LOGIN PASSWORD '{PASSWORD}'")
    for table in TABLES:
        place.execute(table.create)
    place.execute(
        "CREATE TABLE elsewhere (id bigint PRIMARY KEY, words text, embedding "
        f"vector({DIMENSIONS}))"
    )
    return place


def places(endpoints: Endpoints, ways: dict[str, Proxy], place: Workplace) -> Places:
    """The configurations of the campaign, as settings and as files."""
    elsewhere = [{"name": "public.elsewhere", "text": "words"}]
    second = settings_for(endpoints, ways, direct=True, prefix=f"{NAME}2", tables=elsewhere)
    lacking = settings_for(endpoints, ways, direct=True, tables=CONFIGURED[1:])
    return Places(
        place.settings,
        place.write_config(),
        settings_for(endpoints, ways, direct=True, tables=CONFIGURED),
        workplace.write_config(second, place.directory / "second.toml"),
        workplace.write_config(lacking, place.directory / "colleague.toml"),
    )
