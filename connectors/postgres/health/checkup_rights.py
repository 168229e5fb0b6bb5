"""What `vectrue doctor` says of the workers' rights in Postgres.

Hazard: a table that has a problem is left out, so its rights are not known.
"""

from collections.abc import Iterator, Sequence

from connectors.postgres import queries
from connectors.postgres.checks import trust
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.session import Session
from connectors.postgres.setup import capture, grants, schema, score_rights
from connectors.postgres.statement import Statement
from schemas.health.check_result import CheckResult, ok, problem, unknown, warning
from schemas.health.needs import RIGHTS, SCHEMA, SET_UP
from schemas.settings.reading import Settings


def look(
    session: Session, settings: Settings, facts: Server, tables: Sequence[Examined]
) -> Iterator[CheckResult]:
    """Whether the role has what a worker needs, and not too much.

    Args:
        session: connection of the workers' role.
        settings: what the workers do.
        facts: what the server can do.
        tables: the configured tables that are sound.
    """
    lacking, notices = _lacking(session, settings, facts, tables)
    # Otherwise the origins have a line of their own.
    if not any(capture.origins(session, settings.postgres.origin, facts)):
        for notice in notices:
            yield warning("rights", notice, follows=SET_UP)
    ledger: list[Statement] = []
    others: list[Statement] = []
    for one in lacking:
        (ledger if one.description.endswith(grants.LEDGER) else others).append(one)
    if others:
        yield _missing(others, SET_UP)
    if ledger:
        yield _missing(ledger, (*SET_UP, SCHEMA))
    yield from _too_much(session, facts)
    if not lacking and len(tables) == len(settings.tables):
        yield ok(RIGHTS, f"role {facts.role} has what a worker needs")
    elif not lacking:
        follows = [f"table {table.name}" for table in settings.tables]
        yield unknown(RIGHTS, "a table has a problem", follows=follows)


def _too_much(session: Session, facts: Server) -> Iterator[CheckResult]:
    """Functions that others have made, where the role is a superuser."""
    for function, owner in session.rows(queries.text("function_of_others"), {"role": facts.role}):
        said = (
            f"{facts.role} is a superuser: {function} of role {owner}, once a text calls "
            "it, runs as one"
        )
        yield warning("rights", said, trust.SEPARATE)


def _lacking(
    session: Session, settings: Settings, facts: Server, tables: Sequence[Examined]
) -> tuple[list[Statement], list[str]]:
    """What would have to be granted, and notices."""
    grantee = grants.Grantee(session, facts.role)
    # No one has a right on a column that does not exist, which the table's own line says.
    whole = [examined for examined in tables if not schema.provenance(session, examined)]
    asked = score_rights.asked(session, settings, whole)
    triggers = settings.postgres.fire_triggers
    return grants.plan(grantee, facts, whole, asked, schema_changes=False, fire_triggers=triggers)


def _missing(lacking: Sequence[Statement], follows: Sequence[str]) -> CheckResult:
    said = "; ".join(statement.description for statement in lacking)
    fix = "vectrue init, as an owner of the tables"
    return problem(RIGHTS, f"missing: {said}", fix, follows=follows)
