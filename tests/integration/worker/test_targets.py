"""A change of model is a command, never a silent mix (I4): on real workers and a real
database.
"""

import json

import pytest

from connectors.models import open_model
from tests.support.init import setup
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


def other_model(place: Workplace) -> str:
    """Name another model of 64 dimensions in the settings; returns its id."""
    from tests.support.models import build_xlm_roberta

    folder = build_xlm_roberta(place.directory / "other", hidden=64, vocab=3000)
    return open_model(place.with_settings(model={"name": str(folder)}).model).model_id


def test_a_change_of_model_is_a_command(ready: Workplace) -> None:
    """Settings without `init`: 78, one sentence. `init`: explained; the old worker
    writes nothing and restarts.

    The vectors of the old model stay readable and are counted as stale, and a replay
    renews them.
    """
    place = ready
    first = open_model(place.settings.model).model_id
    old_settings = place.settings
    worker = place.start_worker("live")
    place.execute("INSERT INTO questions (question) VALUES ('one'), ('two')")
    place.wait_current()
    before = place.execute(
        "SELECT id, embedding::text, embedding_hash, embedded_at FROM questions ORDER BY id"
    )

    second = other_model(place)
    for role in ("live", "replay"):
        refused = place.vectrue("worker", "--role", role, check=False)
        lines = [line for line in refused.stderr.splitlines() if "worker exits" in line]
        assert refused.returncode == 78
        assert len(lines) == 1
        assert first in lines[0]
        assert second in lines[0]
        assert "vectrue init" in lines[0]
    assert place.coverage()["current"] == 2

    told = place.vectrue("init").stderr
    assert f"changes from {first} to {second}: 2 vectors become stale, stay readable" in " ".join(
        told.split()
    )
    assert "vectrue replay run" in told
    assert place.coverage()["stale_model"] == 2

    place.execute("UPDATE questions SET question = 'one, edited' WHERE id = 1")
    until(lambda: worker.poll() is not None, what="the worker with the old model to leave")
    assert worker.returncode == 70, (
        "its settings file names the new model now, so a start anew helps"
    )
    assert first in place.log("live").splitlines()[-1]
    assert (
        place.execute(
            "SELECT id, embedding::text, embedding_hash, embedded_at FROM questions ORDER BY id"
        )
        == before
    )

    place.start_worker("replay")
    outcome = json.loads(place.vectrue("replay", "run", "-o", "json").stdout)
    assert (outcome["ok"], outcome["columns"][0]["embedded"]) == (True, 2)
    assert place.execute("SELECT DISTINCT embedding_model FROM questions") == [(second,)]

    place.settings = old_settings
    assert first in place.vectrue("worker", "--role", "live", check=False).stderr


def test_the_database_knows_every_model(workplace: Workplace) -> None:
    """Revision, dimensions, pooling, token limit and fingerprint stand under each id,
    also of a model known before.
    """
    place = workplace
    setup(place.settings)
    first = open_model(place.settings.model).record
    place.execute(
        "UPDATE vectrue.models SET revision = NULL, fingerprint = NULL, name = 'an older name'"
    )
    assert setup(place.settings).changed == (f"record the model {first.model}",)
    other_model(place)
    setup(place.settings)
    second = open_model(place.settings.model).record
    found = json.loads(place.vectrue("model", "info", "--known", "-o", "json").stdout)["known"]
    assert found == [
        {**first.to_json(), "wanted_in": []},
        {**second.to_json(), "wanted_in": ["public.questions.embedding"]},
    ]
    assert (second.pooling, second.max_tokens, len(second.fingerprint)) == ("cls", 512, 64)
    assert second.model.endswith(f"+{second.fingerprint[:8]}")
    assert first.model in place.vectrue("model", "info", "--known").stdout
