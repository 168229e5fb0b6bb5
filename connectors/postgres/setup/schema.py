"""What `init` puts into the database: the schema vectrue, provenance, wanted models.

Hazard: a migration that was released is never edited; a change of the schema is a new
file `setup/migrations/NNN_<name>.sql`, applied in a transaction together with its entry
in vectrue.migrations.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.session import Session
from connectors.postgres.setup import lists
from connectors.postgres.statement import Statement, render
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.model_record import ModelRecord
from schemas.rows.target import Target

MIGRATIONS = queries.FOLDER / "setup" / "migrations"


def exists(session: Session, relation: str) -> bool:
    """Whether a relation of the schema vectrue is there."""
    return bool(session.rows("SELECT to_regclass(%s) IS NOT NULL", (relation,))[0][0])


def unknown() -> ConfigurationError:
    """The error about a database in which `init` was not run."""
    return ConfigurationError("this database does not know vectrue yet", fix="run `vectrue init`")


def migrations(session: Session) -> list[Statement]:
    """The schema and the migrations it has not seen.

    Raises:
        ConfigurationError: the database was set up by a newer vectrue.
    """
    known: dict[int, Path] = {}
    for file in MIGRATIONS.glob("*.sql"):
        known[int(file.name.split("_", 1)[0])] = file
    founded = exists(session, "vectrue.migrations")
    applied: set[int] = set()
    if founded:
        lines = session.rows("SELECT version FROM vectrue.migrations")
        for (version,) in lines:
            applied.add(int(version))
    newer = applied - known.keys()
    if newer:
        raise ConfigurationError(
            f"the schema vectrue is at version {max(newer)}, this program knows {max(known)}",
            fix="use the vectrue that set the database up, or a newer one",
        )
    statements: list[Statement] = []
    if not founded:
        body = queries.text("schema_foundation").strip()
        statements.append(Statement("create the schema vectrue", body))
    pending = sorted(known.keys() - applied)
    for version in pending:
        statements.append(_migration(session, version, known[version]))
    return statements


def _migration(session: Session, version: int, file: Path) -> Statement:
    name = file.stem.split("_", 1)[1]
    entry = sql.SQL("INSERT INTO vectrue.migrations (version, name) VALUES ({}, {})")
    entered = render(session, entry.format(sql.Literal(version), sql.Literal(name)))
    # In one statement with its entry: a migration is applied and recorded together.
    body = f"{file.read_text(encoding='utf-8').strip()}\n{entered}"
    return Statement(f"apply migration {version:03} ({name}) to the schema vectrue", body)


def provenance(session: Session, examined: Examined) -> list[Statement]:
    """The four columns beside a vector column, where they are missing."""
    target = examined.target
    missing: list[str] = []
    for name in target.provenance:
        if name not in examined.info.columns:
            missing.append(name)
    if not missing:
        return []
    body = render(session, queries.for_target("add_provenance", target, bound=False))
    return [Statement(f"add the columns {', '.join(missing)} to {target.table}", body)]


def functions(session: Session, targets: Sequence[Target], vector_schema: str) -> list[Statement]:
    """What queries call: the digest of a vector, and a function for each text.

    Such a function tells what a row raises. Those of texts that no column has any more are dropped.
    """
    made: list[Statement] = []
    if not session.rows("SELECT to_regproc('vectrue.vector_digest') IS NOT NULL")[0][0]:
        made.append(_digest(session, vector_schema))
    there = dict(session.rows(queries.text("text_functions")))
    wanted: dict[str, Target] = {}
    for target in targets:
        wanted[target.text_function] = target
    for name, target in wanted.items():
        text = render(session, queries.for_target("text_body", target, bound=False))
        if there.get(name) != text:
            made.append(_text_function(session, name, target, text))
    stale = there.keys() - wanted.keys() - _in_use(session, targets)
    for name in sorted(stale):
        dropped = sql.SQL("DROP FUNCTION {}(oid, tid)").format(sql.Identifier("vectrue", name))
        what = "drop the function of a text that no column has any more"
        made.append(Statement(what, render(session, dropped)))
    return made


def _digest(session: Session, vector_schema: str) -> Statement:
    vectors = sql.Identifier(vector_schema)
    taken = sql.SQL("SELECT substring(pg_catalog.sha256({}.vector_send($1)) FROM 1 FOR 8)").format(
        vectors
    )
    literal = sql.Literal(render(session, taken))
    body = queries.compose("vector_digest", vectors=vectors, body=literal)
    return Statement("create the digest of vectors", render(session, body))


def _text_function(session: Session, name: str, target: Target, text: str) -> Statement:
    body = queries.for_target(
        "text_function",
        target,
        bound=False,
        function=sql.Identifier("vectrue", name),
        body=sql.Literal(text),
    )
    what = f"create the function that tries the text of {target.table}"
    return Statement(what, render(session, body))


def _in_use(session: Session, targets: Sequence[Target]) -> set[str]:
    """Functions of the texts of other columns that are kept true."""
    if not exists(session, "vectrue.targets"):
        return set()
    # Another settings file of the installation may list other columns.
    kept: set[tuple[str, str]] = set()
    for target in targets:
        kept.add((str(target.table), target.column))
    names: set[str] = set()
    for table, column, *_, digest in session.rows(queries.text("all_targets")):
        if digest and (table, column) not in kept:
            names.add(f"text_{digest}")
    return names


def known_models(session: Session) -> list[tuple[ModelRecord, list[str]]]:
    """The models that were ever wanted, each with the vector columns that want it now.

    A field that an older vectrue did not keep is None, whatever its type says, until
    `vectrue init` fills it.

    Raises:
        ConfigurationError: `vectrue init` was not run in this database.
    """
    if not exists(session, "vectrue.models"):
        raise unknown()
    models: list[tuple[ModelRecord, list[str]]] = []
    for known, wanted_in in session.rows(queries.text("known_models")):
        values: dict[str, Any] = {}
        for one in fields(ModelRecord):
            values[one.name] = known.get(one.name)
        record = ModelRecord(**values)
        models.append((record, wanted_in))
    return models


def model_record(session: Session, record: ModelRecord) -> list[Statement]:
    """What is kept about a model, where that is not known yet."""
    if exists(session, "vectrue.models"):
        for known, _ in known_models(session):
            if known == record:
                return []
    return [_model(session, record)]


def registrations(
    session: Session,
    targets: Sequence[Target],
    record: ModelRecord,
    count: Callable[[sql.Composable], int],
) -> tuple[list[Statement], list[str]]:
    """The wanted model of each vector column.

    Args:
        session: connection of the role that makes the changes.
        targets: the configured columns.
        record: what is to be kept about the model.
        count: asks a query about rows; may raise VectrueError.

    Returns:
        the statements, and a notice for each column whose model or text changes.
    """
    wanted = _registered(session)
    statements = model_record(session, record)
    notices: list[str] = []
    for target in targets:
        before = wanted.get((str(target.table), target.column))
        now = _Registration(target.model, target.dimensions, target.text_digest.hex())
        if before == now:
            continue
        statements.append(_registration(session, target))
        # A new column has no vectors or readers that a notice could be about.
        if before is None:
            continue
        if before.model != now.model:
            notices.append(_model_change(target, before.model, count))
        elif before.text_digest is not None and before.dimensions == now.dimensions:
            notices.append(
                f"the text of {target.name} is another expression: workers with the old one stop"
            )
    return statements, notices


class _Registration(NamedTuple):
    """What a vector column holds by its registration."""

    model: str
    dimensions: int
    text_digest: str | None


def _registration(session: Session, target: Target) -> Statement:
    body = queries.for_target(
        "register_target",
        target,
        bound=False,
        model=sql.Literal(target.model),
        dimensions=sql.Literal(target.dimensions),
    )
    what = f"want vectors of {target.model} in {target.name}"
    return Statement(what, render(session, body))


def _registered(session: Session) -> dict[tuple[str, str], _Registration]:
    """What each vector column holds, by table and name."""
    wanted: dict[tuple[str, str], _Registration] = {}
    if exists(session, "vectrue.targets"):
        for table, column, model, size, _, text in session.rows(queries.text("all_targets")):
            wanted[table, column] = _Registration(model, int(size), text)
    return wanted


def _model(session: Session, record: ModelRecord) -> Statement:
    values = lists.literals(
        (
            record.model,
            record.name,
            record.revision,
            record.dimensions,
            record.pooling,
            record.max_tokens,
            record.fingerprint,
        )
    )
    body = render(session, queries.compose("register_model", values=values))
    return Statement(f"record the model {record.model}", body)


def _model_change(target: Target, before: str, count: Callable[[sql.Composable], int]) -> str:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} = {}").format(
        queries.table(target.table), sql.Identifier(target.model_column), sql.Literal(before)
    )
    # A table may be too large to be counted in time: the notice comes all the same.
    try:
        current = f"{count(query):,} vectors"
    except VectrueError as error:
        current = f"its vectors (not counted: {error.message})"
    return (
        f"the model of {target.name} changes from {before} to {target.model}: {current} become "
        "stale, stay readable, and are renewed by `vectrue replay run`"
    )
