"""The settings file is edited under running workers: they say so, `status` does, and after `init` they take it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

EDITED = "the settings file was edited under this worker"
AS_BEFORE = "the settings file says again what this worker runs with"


def seen(place: Workplace) -> list[dict[str, str]]:
    """What `status` says about edited settings."""
    answer: dict[str, Any] = json.loads(place.embedsync("status", "-o", "json", check=False).stdout)
    edits: list[dict[str, str]] = answer["witness"]["edits"]
    return edits


def said(place: Workplace, role: str, what: str, words: str) -> None:
    """Wait for a line of a worker's log."""
    until(
        lambda: any(what in line and words in line for line in place.log(role).splitlines()),
        what=f"{role} to say {what!r} with {words!r}",
    )


def test_a_table_that_is_added_is_named_and_taken_after_init(ready: Workplace) -> None:
    """Named in the log and in `status` with what to do; after `init` the worker starts anew and keeps it true."""
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
    assert edit["fix"] == "embedsync init, after which the workers start anew with it"
    assert "table public.extra was added" in place.embedsync("status", check=False).stdout
    place.embedsync("init")
    until(lambda: worker.poll() is not None, what="the worker to start anew")
    assert worker.returncode == 70
    place.start_worker("live")
    assert seen(place) == []
    place.execute("INSERT INTO extra VALUES (1, 'new')")
    until(lambda: place.execute("SELECT embedding IS NOT NULL FROM extra") == [(True,)], what="the new table's vector")


def test_another_text_is_named_and_the_worker_starts_anew_after_init(ready: Workplace) -> None:
    """70, not 78: the file that it reads at its next start fits the database again."""
    place = ready
    worker = place.start_worker("live")
    place.with_settings(tables=[{"name": "public.questions", "text": "upper(question)"}])
    place.write_config()
    said(place, "live", EDITED, "text of public.questions")
    place.embedsync("init")
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
    said(place, "live", EDITED, "cannot be used any more")
    replace(file, text)
    said(place, "live", AS_BEFORE, "")
    file.unlink()
    said(place, "live", EDITED, "is gone")
    replace(file, f"# a comment\n{text}")
    until(lambda: place.log("live").count(AS_BEFORE) == 2, what="the worker to see the file again")
    assert place.log("live").count(EDITED) == 2
    assert worker.poll() is None


def replace(file: Path, text: str) -> None:
    """As an editor does: another file takes the name."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)
