"""What `init` puts into the database: the schema vectrue by numbered migrations,
provenance columns beside each vector and the wanted models; what counts rows:
`counting`.

Hazard: a migration that was released is never edited; a change of the schema is a new
file `sql/migrations/NNN_<name>.sql`, applied in a transaction together with its entry
in vectrue.migrations.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement, render
from schemas.errors import ConfigurationError, VectrueError
from schemas.reports.model_record import ModelRecord
from schemas.rows.target import Target


def exists(session: Session, relation: str) -> bool:
    """Whether a relation of the schema vectrue is there."""
    return bool(session.rows("SELECT to_regclass(%s) IS NOT NULL", (relation,))[0][0])


MIGRATIONS = queries.FOLDER / "setup" / "migrations"


def unknown() -> ConfigurationError:
    """The error about a database in which `init` was not run."""
    return ConfigurationError("this database does not know vectrue yet", fix="run `vectrue init`")


def migrations(session: Session) -> list[Statement]:
    """The schema and the migrations it has not seen.

    Raises:
        ConfigurationError: the database was set up by a newer vectrue.
    """
    files = sorted(MIGRATIONS.glob("*.sql"))
    known = {int(file.name.split("_", 1)[0]): file for file in files}
    founded = exists(session, "vectrue.migrations")
    applied = (
        {int(v) for (v,) in session.rows("SELECT version FROM vectrue.migrations")}
        if founded
        else set()
    )
    if newer := applied - known.keys():
        raise ConfigurationError(
            f"the schema vectrue is at version {max(newer)}, this program knows {max(known)}",
            fix="use the vectrue that set the database up, or a newer one",
        )
    foundation = Statement("create the schema vectrue", queries.text("schema_foundation").strip())
    statements = [] if founded else [foundation]
    for version, file in known.items():
        if version not in applied:
            name = file.stem.split("_", 1)[1]
            entry = sql.SQL("INSERT INTO vectrue.migrations (version, name) VALUES ({}, {})")
            entered = render(session, entry.format(sql.Literal(version), sql.Literal(name)))
            body = f"{file.read_text(encoding='utf-8').strip()}\n{entered}"
            statements.append(
                Statement(f"apply migration {version:03} ({name}) to the schema vectrue", body)
            )
    return statements


def provenance(session: Session, examined: Examined) -> list[Statement]:
    """The four columns beside a vector column, where they are missing."""
    target = examined.target
    missing = [column for column in target.provenance if column not in examined.info.columns]
    if not missing:
        return []
    body = render(session, queries.for_target("add_provenance", target, bound=False))
    return [Statement(f"add the columns {', '.join(missing)} to {target.table}", body)]


def functions(session: Session, targets: Sequence[Target], vector_schema: str) -> list[Statement]:
    """What queries call: the digest of a vector, and for each text a function that
    tells what a row raises.

    Those of texts that nobody wants any more go.
    """
    made = []
    if not session.rows("SELECT to_regproc('vectrue.vector_digest') IS NOT NULL")[0][0]:
        vectors = sql.Identifier(vector_schema)
        taken = sql.SQL(
            "SELECT substring(pg_catalog.sha256({}.vector_send($1)) FROM 1 FOR 8)"
        ).format(vectors)
        body = queries.compose(
            "vector_digest", vectors=vectors, body=sql.Literal(render(session, taken))
        )
        made.append(Statement("create the digest of vectors", render(session, body)))
    there = {str(name): str(body) for name, body in session.rows(queries.text("text_functions"))}
    wanted = {target.text_function: target for target in targets}
    for name, target in wanted.items():
        text = render(session, queries.for_target("text_body", target, bound=False))
        if there.get(name) != text:
            function = sql.Identifier("vectrue", name)
            body = queries.for_target(
                "text_function", target, bound=False, function=function, body=sql.Literal(text)
            )
            made.append(
                Statement(
                    f"create the function that tries the text of {target.table}",
                    render(session, body),
                )
            )
    kept = {(str(target.table), target.column) for target in targets}
    others = session.rows(queries.text("all_targets")) if exists(session, "vectrue.targets") else []
    in_use = {
        f"text_{digest}"
        for table, column, *_, digest in others
        if digest and (table, column) not in kept
    }
    for name in sorted(there.keys() - wanted.keys() - in_use):
        dropped = sql.SQL("DROP FUNCTION {}(oid, tid)").format(sql.Identifier("vectrue", name))
        made.append(
            Statement(
                "drop the function of a text that is wanted no more", render(session, dropped)
            )
        )
    return made


def known_models(session: Session) -> list[tuple[ModelRecord, list[str]]]:
    """The models that were ever wanted, each with the vector columns that want it now.

    A field that an older vectrue did not keep is None, whatever its type says, until
    `vectrue init` fills it.

    Raises:
        ConfigurationError: `vectrue init` was not run in this database.
    """
    if not exists(session, "vectrue.models"):
        raise unknown()
    names = [field.name for field in fields(ModelRecord)]
    lines = session.rows(queries.text("known_models"))
    return [
        (ModelRecord(*(known.get(name) for name in names)), wanted_in) for known, wanted_in in lines
    ]


def model_record(session: Session, record: ModelRecord) -> list[Statement]:
    """What is kept about a model, where that is not known yet."""
    known = known_models(session) if exists(session, "vectrue.models") else []
    return [] if record in [other for other, _ in known] else [_model(session, record)]


def registrations(
    session: Session,
    targets: Sequence[Target],
    record: ModelRecord,
    count: Callable[[sql.Composable], int],
) -> tuple[list[Statement], list[str]]:
    """The wanted model of each vector column, and a notice for each column whose model
    changes.

    Args:
        session: connection of the role that makes the changes.
        targets: the configured columns.
        record: what is to be kept about the model.
        count: asks a query about rows; may raise VectrueError.
    """
    wanted = dict[tuple[str, str], tuple[str, int, str | None]]()
    statements, notices = [], []
    if exists(session, "vectrue.targets"):
        lines = session.rows(queries.text("all_targets"))
        wanted = {
            (table, column): (model, int(size), text)
            for table, column, model, size, _, text in lines
        }
    statements += model_record(session, record)
    for target in targets:
        before = wanted.get((str(target.table), target.column))
        if before == (target.model, target.dimensions, target.text_digest.hex()):
            continue
        model, dimensions = sql.Literal(target.model), sql.Literal(target.dimensions)
        body = render(
            session,
            queries.for_target(
                "register_target", target, bound=False, model=model, dimensions=dimensions
            ),
        )
        statements.append(Statement(f"want vectors of {target.model} in {target.name}", body))
        if before is not None and before[0] != target.model:
            notices.append(_model_change(target, before[0], count))
        elif (
            before is not None
            and before[2] is not None
            and before[:2] == (target.model, target.dimensions)
        ):
            notices.append(
                f"the text of {target.name} is another expression: workers with the old one stop"
            )
    return statements, notices


def _model(session: Session, record: ModelRecord) -> Statement:
    described = (
        record.model,
        record.name,
        record.revision,
        record.dimensions,
        record.pooling,
        record.max_tokens,
    )
    values = sql.SQL(", ").join(map(sql.Literal, (*described, record.fingerprint)))
    return Statement(
        f"record the model {record.model}",
        render(session, queries.compose("register_model", values=values)),
    )


def _model_change(target: Target, before: str, count: Callable[[sql.Composable], int]) -> str:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} = {}").format(
        queries.table(target.table), sql.Identifier(target.model_column), sql.Literal(before)
    )
    try:
        current = f"{count(query):,} vectors"
    except VectrueError as error:
        current = f"its vectors (not counted: {error.message})"
    return (
        f"the model of {target.name} changes from {before} to {target.model}: {current} become "
        "stale, "
        "stay readable, and are renewed by `vectrue replay run`"
    )
