"""`vectrue serve` as a process on a free port of loopback, and a table whose vectors
are true without any worker.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from connectors.local.machine import free_ports
from connectors.models import open_model
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from schemas.rows.document import Update
from streams.common import targets
from tests.support.prefork import Process
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Endpoints, Workplace, workplace

ROWS = (
    "파이썬의 GIL은 무엇인가요?",
    "트랜잭션 격리 수준을 설명해 주세요.",
    "좋은 단위 테스트의 조건은 무엇인가요?",
)


@dataclass
class Server:
    """The process, and a client of it."""

    place: Workplace
    process: Process
    client: httpx.Client
    port: int
    log_name: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it wrote."""
        return self.place.log(self.log_name)


@contextmanager
def questions(stack: Endpoints, folder: Path) -> Iterator[Workplace]:
    """A workplace of three questions with true vectors; no worker runs."""
    # each question is its own stored answer
    score = {"table": "public.questions", "question": "id", "where": "true"}
    with workplace(stack, folder, score=score) as made:
        made.execute(CREATE_QUESTIONS.format(dimensions=64))
        made.execute("INSERT INTO questions (question) SELECT unnest(%s)", (list(ROWS),))
        made.vectrue("init")
        fill_vectors(made)
        yield made


@contextmanager
def running_server(place: Workplace, *, log: str = "serve", **serve: Any) -> Iterator[Server]:
    """Start it and wait until it is ready; it is killed at the end, where it has not
    ended by itself.
    """
    (port,) = free_ports.choose(1)
    place.with_settings(serve={"port": port, **serve})
    process = place.start("serve", log=log)

    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(
                f"the server exited {process.returncode}:\n{place.log(log)[-3000:]}"
            )
        return "server ready" in place.log(log)

    until(ready, what="the server to be ready")
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
    with client:
        until(lambda: _listens(client), what="the server to listen")
        yield Server(place, process, client, port, log)
    process.kill()
    process.wait()


def fill_vectors(place: Workplace) -> None:
    """Write the vectors of all rows of the configured tables, as a worker would; also
    those that a migration grows.
    """
    session, store = (
        Session(place.settings.postgres.dsn, role="test"),
        PostgresStore(place.settings.postgres, role="test"),
    )
    for target in targets.resolve(place.settings, session):
        model = open_model(
            place.settings.model.model_copy(update={"dimensions": target.dimensions})
        )
        keys = [
            (str(key),)
            for (key,) in session.rows(
                f"SELECT {target.key[0].name} FROM {target.table} ORDER BY 1"
            )
        ]
        for start in range(0, len(keys), 500):
            documents = store.read(target, keys[start : start + 500]).documents
            vectors = model.encode_documents([str(document.text) for document in documents])
            store.write(
                target, [Update(d.key, d.hash, v) for d, v in zip(documents, vectors, strict=True)]
            )
    store.close()
    session.close()


def _listens(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.ConnectError:
        return False
