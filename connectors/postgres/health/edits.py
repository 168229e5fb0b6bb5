"""Settings files that were edited under running workers (vectrue.edited_settings).

Workers note them; `lag`, `doctor` and the status page read them.

Hazard: a line counts for as long as the server has the connection of the worker that
wrote it, so that worker has to keep it open.
"""

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import schema
from schemas.health.witness import Difference


def note(session: Session, prefix: str, worker: str, edit: Difference | None) -> None:
    """Note what a worker runs with that its file no longer says.

    Args:
        session: of the worker, which keeps it open.
        prefix: kafka.topic_prefix of the installation.
        worker: role, host and process.
        edit: what differs, and what to do; None when nothing differs any more.

    Raises:
        TransientError: Postgres does not answer.
    """
    # `init` was not run with a vectrue that notes this; the log has it.
    if not schema.exists(session, "vectrue.edited_settings"):
        return
    if edit is None:
        session.rows(
            "DELETE FROM vectrue.edited_settings WHERE prefix = %s AND worker = %s RETURNING 1",
            (prefix, worker),
        )
        return
    # It counts for as long as the server has this connection.
    values = {"prefix": prefix, "worker": worker, "sentence": edit.sentence, "fix": edit.fix}
    session.rows(queries.text("note_edit"), values)


def read(session: Session, prefix: str) -> list[Difference]:
    """What workers run with that their files no longer say, by worker.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not schema.exists(session, "vectrue.edited_settings"):
        return []
    lines = session.rows(queries.text("edits"), {"prefix": prefix})
    return [Difference(f"worker {worker}: {sentence}", fix) for worker, sentence, fix in lines]
