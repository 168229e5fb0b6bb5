"""Rows whose text a trigger of the table changes in the very write of a vector:
followed, and given up where it never rests (E10).
"""

from collections.abc import Mapping
from typing import Any

import pytest

from connectors.twins.memory import sha256
from schemas.rows.document import WriteOutcome, Written
from tests.support.sync_bench import Bench
from tests.unit.streams.worker.test_parts import bench, current, put

__all__ = ["bench"]


def with_trigger(bench: Bench, monkeypatch: pytest.MonkeyPatch, edits: Mapping[int, str]) -> None:
    """A trigger that gives the first row another text in each write, unless that is
    calm.

    Args:
        bench: the lane.
        monkeypatch: puts it in.
        edits: what the application makes of the row's text, by the number of writes
            before.
    """
    write, written = bench.store.write, 0

    def restless(*arguments: Any) -> WriteOutcome:
        nonlocal written
        outcome = write(*arguments)
        text = bench.store.rows["1",].text or ""
        if outcome.get(("1",)) is Written.WRITTEN and "calm" not in text:
            written += 1
            bench.put(1, f"{text}y")
            outcome["1",] = Written.AGAIN
            outcome.given["1",] = sha256(f"{text}y")
            if written in edits:
                bench.put(1, edits[written])
        return outcome

    monkeypatch.setattr(bench.store, "write", restless)


def test_a_row_whose_trigger_never_rests_is_given_up_whatever_the_model_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes, and not a deferral for each: a slow model leaves no time for a second
    one in the same part (E10).
    """
    records = put(bench, [1, 2])
    with_trigger(bench, monkeypatch, {})
    bench.sync.handle(records)
    assert (list(bench.store.quarantine), bench.outbox.deferred, current(bench)) == (
        [("1",)],
        [],
        [2],
    )
    assert bench.embedder.texts_encoded == 3


def test_a_text_that_the_application_wrote_meanwhile_is_not_given_up_for_the_ones_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own event would find it in quarantine, and leave it there for ever."""
    records = put(bench, [1])
    with_trigger(bench, monkeypatch, {2: "calm"})
    bench.sync.handle(records)
    assert (list(bench.store.quarantine), current(bench)) == ([], [1])


def test_tries_count_anew_from_a_text_that_the_application_wrote(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two new texts is changed once: none has been tried twice, and the third
    one rests.
    """
    records = put(bench, [1])
    with_trigger(bench, monkeypatch, {1: "new", 2: "newer", 3: "calm"})
    bench.sync.handle(records)
    assert (list(bench.store.quarantine), current(bench)) == ([], [1])


def test_two_batches_with_a_restless_row_do_not_keep_each_other_busy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between their parts each finds a text that the other's write has made. Both end,
    and the row is given up or deferred.
    """
    batches = [bench.sync.steps(put(bench, [1])) for _ in range(2)]
    with_trigger(bench, monkeypatch, {})
    for _ in range(20):
        batches = [parts for parts in batches if next(parts, None) is not None]
    assert batches == []
    assert bench.outbox.deferred or list(bench.store.quarantine) == [("1",)]
