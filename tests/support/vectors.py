"""Rows changed as a worker would, without one: true vectors at once, and changes that
bring no event.
"""

from connectors.models import open_model
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from schemas.rows.document import Update
from streams.common import targets
from tests.support.workplace import Workplace


def embed_all(place: Workplace) -> None:
    """Write the vectors of all rows of all tables, as a worker would; `init` was run."""
    store = PostgresStore(place.settings.postgres, role="test")
    model = open_model(place.settings.model)
    for target in targets.resolve(place.settings, place.session):
        columns = ", ".join(f'"{column.name}"::text' for column in target.key)
        reading = store.read(target, place.execute(f"SELECT {columns} FROM {target.table}"))
        documents = [document for document in reading.documents if not document.blank]
        vectors = model.encode_documents([document.text for document in documents])
        pairs = zip(documents, vectors, strict=True)
        store.write(
            target, [Update(document.key, document.hash, vector) for document, vector in pairs]
        )
    store.close()


def in_secret(place: Workplace, change: str) -> None:
    """Change rows so that no event comes: under the workers' replication origin."""
    writer = Session(place.settings.postgres.dsn, role="test")
    with writer.cursor() as cursor:
        cursor.execute(
            "SELECT pg_replication_origin_session_setup(%s)",
            (f"{place.settings.postgres.origin}_7",),
        )
        cursor.execute(change)
    writer.close()
