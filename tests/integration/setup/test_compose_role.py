"""The workers of docker-compose.yml: their role is enough for them, whatever the user
id of their container.
"""

import os
import subprocess
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from connectors.local.services.postgres import psql
from tests.support import workplace as workplaces
from tests.support.nameless import nameless
from tests.support.own_postgres import own_postgres
from tests.support.root import ROOT
from tests.support.workplace import CREATE_QUESTIONS, Endpoints

pytestmark = pytest.mark.stack

SCRIPT = ROOT / "ops" / "docker" / "worker.sql"
PASSWORD = 'w#r k=1 "@/'


def test_workers_are_no_superusers_and_need_no_name(
    stack: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by the script that the image reads, granted to by `init`; both lanes work,
    and `doctor` has no complaint.
    """
    nameless(monkeypatch, tmp_path / "site")
    (tmp_path / "server").mkdir()
    with (
        own_postgres(stack, tmp_path / "server") as server,
        workplaces.workplace(server, tmp_path) as place,
    ):
        place.execute(CREATE_QUESTIONS.format(dimensions=64))
        admin = place.settings.postgres.dsn
        command, environment = psql(admin, ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(SCRIPT)])
        given = {**os.environ, **environment, "WORKER_PASSWORD": PASSWORD}
        subprocess.run(command, env=given, check=True)
        assert place.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = 'vectrue'"
        ) == [(False, False, False)]
        worker = make_dsn(**{**parse_dsn(admin), "user": "vectrue", "password": PASSWORD})
        place.with_settings(postgres={"dsn": worker, "admin_dsn": make_dsn(**parse_dsn(admin))})
        place.vectrue("init")
        place.with_settings(postgres={"admin_dsn": None})
        place.start_worker("live")
        place.start_worker("replay")
        place.execute("INSERT INTO questions (question) VALUES ('a text')")
        place.wait_current()
        place.execute("UPDATE questions SET embedding_model = 'another'")
        place.vectrue("replay", "run", "--yes")
        place.wait_current()
        assert PASSWORD not in place.log("live") + place.log("replay")
