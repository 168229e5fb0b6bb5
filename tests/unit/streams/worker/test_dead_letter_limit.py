"""The flood guard: the odd bad event passes, a topic that is wrong as a whole does not."""

import itertools

import pytest

from schemas.errors import DeadLetterLimitReached
from schemas.settings.sections import DeadLetterSettings
from streams.worker.dead_letter_limit import DeadLetterLimit

GOOD = ("t", None)
BAD = ("t", "it is not JSON")


def test_the_odd_bad_event_never_trips_it() -> None:
    """One bad event in ten, for hours, is no flood."""
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings())
    for second in range(10_000):
        dead_letter_limit.judge([BAD, *[GOOD] * 9], now=float(second))


def test_bad_events_in_a_row_trip_it_whatever_the_time_between_them() -> None:
    """The first event over the limit raises; one good event starts the row anew."""
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings(most_in_a_row=3, most_share=0))
    dead_letter_limit.judge([BAD, BAD, BAD, GOOD, BAD, BAD, BAD], now=0.0)
    with pytest.raises(
        DeadLetterLimitReached,
        match=r"4 events in a row of topic t .*not JSON.*dlq list.*most_in_a_row",
    ):
        dead_letter_limit.judge([BAD], now=99_999.0)


def test_a_share_trips_it_only_from_enough_events_on() -> None:
    """Two bad events of two are no flood; more than half of 200 are."""
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings(most_in_a_row=0))
    dead_letter_limit.judge([BAD] * 101 + [GOOD] * 98, now=0.0)
    with pytest.raises(DeadLetterLimitReached, match=r"102 of 200 events within 60 s.*most_share"):
        dead_letter_limit.judge([BAD], now=1.0)


def test_the_window_forgets() -> None:
    """What happened a window ago does not count."""
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings(most_in_a_row=0))
    dead_letter_limit.judge([BAD] * 150, now=0.0)
    dead_letter_limit.judge([GOOD] * 300 + [BAD] * 100, now=61.0)


def test_topics_are_counted_apart() -> None:
    """Good events of a busy topic do not hide that another one is wholly wrong."""
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings(most_in_a_row=10))
    with pytest.raises(DeadLetterLimitReached, match="topic wrong"):
        dead_letter_limit.judge([*[GOOD] * 50, ("wrong", "no envelope")] * 11, now=0.0)


def test_limits_of_zero_are_none() -> None:
    """Both limits can be switched off."""
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings(most_in_a_row=0, most_share=0))
    dead_letter_limit.judge([BAD] * 10_000, now=0.0)


def test_memory_stays_bounded() -> None:
    """A million events in a minute keep no more than a bucket for each part of the
    window.
    """
    dead_letter_limit = DeadLetterLimit(DeadLetterSettings())
    for number in itertools.islice(itertools.count(), 20_000):
        dead_letter_limit.judge([GOOD], now=number / 300)
    assert len(dead_letter_limit._topics["t"].buckets) <= 62
