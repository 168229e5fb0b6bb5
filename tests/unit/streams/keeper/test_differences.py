"""The keeper's look at what is configured: the connector's settings, and how often a
difference is said.
"""

from collections.abc import Sequence

from structlog.testing import capture_logs

from connectors.debezium.config import connector_config, database_of
from connectors.postgres.setup.capture import HEARTBEAT_QUERY
from connectors.twins.memory import MemoryClock
from schemas.health.witness import Difference
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from schemas.settings.reading import load
from streams.keeper.differences import Differences, differing

TARGET = Target(
    TableName("public", "posts"), "embedding", "title", (KeyColumn("id", "bigint"),), "m", 64
)
PARAMETERS = {"host": "db", "port": "5432", "dbname": "app", "user": "worker"}


def test_the_connector_is_compared_with_the_settings() -> None:
    """Another database, host, slot or key column is named; who logs in is not, since
    `init` may run as another role.
    """
    settings = load(tables=[{"name": "public.posts", "text": "title"}])
    database = database_of(settings, {**PARAMETERS, "user": "owner"}, "secret")
    there = connector_config(
        settings, database, [TARGET], origin_filter=True, heartbeat_query=HEARTBEAT_QUERY
    )
    assert differing(settings, PARAMETERS, [TARGET], 18, {**there, "name": "c"}) == []
    changed = {
        **there,
        "database.dbname": "copy",
        "slot.name": "other",
        "column.include.list": "posts.number",
    }
    found = differing(settings, PARAMETERS, [TARGET], 18, changed)
    assert found == ["column.include.list", "database.dbname", "slot.name"]


def test_a_difference_is_said_at_once_and_again_every_minute() -> None:
    """And again when it has come back, or when another keeper has taken over."""
    clock, found = MemoryClock(), [Difference("it is not there", "vectrue init")]

    def look() -> Sequence[Difference]:
        return found

    duty = Differences(look, clock)

    def said(seconds: float) -> int:
        clock.advance(seconds)
        with capture_logs() as logs:
            duty.tick()
        return len(logs)

    assert [said(5) for _ in range(14)] == [1, *[0] * 11, 1, 0]
    duty.forget()
    assert said(5) == 1
    gone, found = found, []
    assert said(5) == 0
    found = gone
    assert said(5) == 1
