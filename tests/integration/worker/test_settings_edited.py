"""The settings file is edited under running workers: they say so, `status` does, and
after `init` they take it.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.postgres import locks
from connectors.postgres.session import Session
from tests.support import prefork
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

EDITED = "settings file was edited under this worker"
AS_BEFORE = "settings file again says what this worker runs with"


def seen(place: Workplace) -> list[dict[str, str]]:
    """What `status` says about edited settings."""
    answer: dict[str, Any] = json.loads(place.vectrue("status", "-o", "json", check=False).stdout)
    edits: list[dict[str, str]] = answer["witness"]["edits"]
    return edits


def said(place: Workplace, role: str, what: str, words: str) -> None:
    """Wait for a line of a worker's log."""
    until(
        lambda: any(what in line and words in line for line in place.log(role).splitlines()),
        what=f"{role} to say {what!r} with {words!r}",
    )


def test_a_table_that_is_added_is_named_and_taken_after_init(ready: Workplace) -> None:
    """Named in the log and in `status` with what to do; after `init` the worker starts
    again and keeps it true.
    """
    place = ready
    place.execute("CREATE TABLE extra (id bigint PRIMARY KEY, body text, embedding vector(64))")
    worker = place.start_worker("live")
    table = {"name": "public.extra", "text": "body"}
    place.with_settings(tables=[*place.settings.model_dump()["tables"], table])
    place.write_config()
    said(place, "live", EDITED, "table public.extra was added")
    (edit,) = seen(place)
    assert "worker live on" in edit["sentence"]
    assert "table public.extra was added" in edit["sentence"]
    assert edit["fix"] == "vectrue init, after which the workers restart with it"
    assert "table public.extra was added" in place.vectrue("status", check=False).stdout
    place.vectrue("init")
    until(lambda: worker.poll() is not None, what="the worker to start anew")
    assert worker.returncode == 70
    place.start_worker("live")
    assert seen(place) == []
    place.execute("INSERT INTO extra VALUES (1, 'new')")
    until(
        lambda: place.execute("SELECT embedding IS NOT NULL FROM extra") == [(True,)],
        what="the new table's vector",
    )


def test_another_text_is_named_and_the_worker_starts_anew_after_init(ready: Workplace) -> None:
    """70, not 78: the file that it reads at its next start fits the database again."""
    place = ready
    worker = place.start_worker("live")
    place.with_settings(tables=[{"name": "public.questions", "text": "upper(question)"}])
    place.write_config()
    said(place, "live", EDITED, "text of public.questions")
    place.vectrue("init")
    until(lambda: worker.poll() is not None, what="the worker to start anew")
    assert worker.returncode == 70
    place.start_worker("live")
    assert seen(place) == []


def test_a_file_that_is_broken_or_gone_is_named_and_comes_back(ready: Workplace) -> None:
    """The worker goes on with what it read; a comment is nothing to say."""
    place = ready
    file = place.write_config()
    text = file.read_text()
    worker = place.start_worker("live")
    replace(file, f"# a comment\n{text}")
    replace(file, f"{text}\n[tables\n")
    said(place, "live", EDITED, "can no longer be used")
    replace(file, text)
    said(place, "live", AS_BEFORE, "")
    file.unlink()
    said(place, "live", EDITED, "is gone")
    replace(file, f"# a comment\n{text}")
    until(lambda: place.log("live").count(AS_BEFORE) == 2, what="the worker to see the file again")
    assert place.log("live").count(EDITED) == 2
    assert worker.poll() is None


def test_workers_take_a_table_by_themselves_when_init_has_set_it_up(ready: Workplace) -> None:
    """Under the supervisor no one starts anything by hand, and none of its workers ends
    for good.
    """
    place = ready
    place.execute("CREATE TABLE extra (id bigint PRIMARY KEY, body text, embedding vector(64))")
    supervisor = place.start("worker", log="all")
    until(lambda: place.log("all").count("worker ready") == 2, what="both workers to be ready")
    before = place.settings.model_dump()["tables"]
    place.with_settings(tables=[*before, {"name": "public.extra", "text": "body"}])
    place.write_config()
    said(place, "all", EDITED, "table public.extra was added")
    place.vectrue("init")
    place.execute("INSERT INTO extra VALUES (1, 'new')")
    until(
        lambda: place.execute("SELECT embedding IS NOT NULL FROM extra") == [(True,)],
        what="the new table's vector",
    )
    assert ", and with the edited settings file" in place.log("all")
    place.with_settings(tables=before)
    place.write_config()
    said(
        place, "all", EDITED, "public.extra was removed: vectrue init, then start the workers again"
    )
    assert supervisor.poll() is None


def test_what_the_environment_says_is_not_edited_by_the_file(
    ready: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable wins over the file, so another value there is no other setting; a link
    that is swapped is read.
    """
    place = ready
    monkeypatch.setenv("VECTRUE_LIVE__BATCH_SIZE", "7")
    place.with_settings(live={"batch_size": 7})
    file = place.write_config()
    text = file.read_text()
    one, two = file.with_name("one.toml"), file.with_name("two.toml")
    one.write_text(text)
    two.write_text(
        text.replace("batch_size = 7", "batch_size = 8").replace(
            "linger_ms = 5.0", "linger_ms = 6.0"
        )
    )
    file.unlink()
    file.symlink_to(one)
    with (place.directory / "live.log").open("ab") as log:
        arguments = ["--config", str(file), "worker", "--role", "live"]
        process = prefork.start(
            arguments, folder=place.directory, environment=place.environment(), out=log, err=log
        )  # place.start would write the file again, through the link
    place.processes.append(process)
    until(lambda: "worker ready" in place.log("live"), what="the worker to be ready")
    link = file.with_name("link")
    link.symlink_to(two)
    link.replace(file)
    said(place, "live", EDITED, "live.linger_ms: start the workers again")
    assert "batch_size" not in place.log("live")


def test_what_was_noted_survives_a_lost_connection(ready: Workplace) -> None:
    """The line ends with the connection that wrote it; the worker's next one writes it
    again, and logs it once.
    """
    place = ready
    place.start_worker("live")
    place.with_settings(live={"batch_size": 7})
    place.write_config()
    said(place, "live", EDITED, "live.batch_size")
    until(lambda: len(seen(place)) == 1, what="the edit to be noted")
    place.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE "
        "'%live targets'"
        " AND datname = current_database()"
    )
    until(lambda: len(seen(place)) == 1, what="the edit to be noted again")
    assert place.log("live").count(EDITED) == 1


def test_a_worker_that_comes_before_the_end_of_an_init_starts_again(ready: Workplace) -> None:
    """70, and not 78: what it lacks is what `init` is about to make; without one it is
    78.
    """
    place = ready
    place.execute("DELETE FROM vectrue.targets")
    init = Session(place.settings.postgres.dsn, role="init")
    try:
        assert locks.take(init, "init")
        worker = place.start("worker", "--role", "live", log="live")
        assert worker.wait(120) == 70
        assert "`vectrue init` is running" in place.log("live")
    finally:
        init.close()
    until(lambda: not locks.is_held(place.session, "init"), what="the lock to end with its session")
    assert place.start("worker", "--role", "live", log="live").wait(120) == 78


def replace(file: Path, text: str) -> None:
    """As an editor does: another file takes the name."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)
