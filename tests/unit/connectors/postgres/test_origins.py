"""Which replication origins are ours, and what the connector leaves out."""

import pytest

from connectors.postgres.setup import origins
from schemas.messages import too_large


def test_only_exact_names_are_ours() -> None:
    """Eight labels and a mark; what only looks like one, and what eight nodes of
    another tool use, is foreign.
    """
    strange = [
        "vectrue_8",
        "vectrue_07",
        "vectrue_x",
        "vectrue",
        "Vectrue_1",
        "tool",
        "pg_16400",
        "_vectrue",
    ]
    nodes = [f"node_{number}" for number in range(origins.COUNT)]
    names = [*origins.made("vectrue"), *origins.made("other"), *nodes, *strange]
    assert origins.not_ours(names, "vectrue") == sorted([*nodes, *strange])
    # no mark beside it
    assert "other_3" in origins.not_ours(origins.labels("other"), "vectrue")


def test_an_origin_that_came_and_went_is_noticed() -> None:
    """By the number of origins ever made; one that is there is not missed, also where
    the number comes late.
    """
    arrivals = origins.OriginCensus()
    settle = [("ab", 5)] * origins.OriginCensus.SETTLING
    looks = [
        *settle,
        ("abc", 5),
        ("abc", 6),
        ("ab", 6),
        ("ab", 7),
        ("ab", 7),
        ("abe", 7),
        ("ab", 9),
    ]
    assert [arrivals.missed(frozenset(names), made) for names, made in looks] == [
        *([False] * len(settle)),
        False,
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_origins_that_are_counted_late_were_there_before() -> None:
    """A worker that starts while somebody runs `init`, or after a crash of the server,
    is not alarmed by old ones.
    """
    arrivals = origins.OriginCensus()
    looks = [("abc", 5), ("abc", 6), ("abcd", 8), *[("abcd", 8)] * origins.OriginCensus.SETTLING]
    assert not any(arrivals.missed(frozenset(names), made) for names, made in looks)
    assert arrivals.missed(frozenset("abcd"), 9)
    assert not any(arrivals.missed(frozenset("abcd"), made) for made in (0, 2, 4))


@pytest.mark.parametrize(
    ("parameters", "leaves_out", "rest"),
    [
        (None, False, None),
        ("origin=none", True, None),
        ("messages=false;origin=none", True, "messages=false"),
        ("origin=any", False, "origin=any"),
    ],
)
def test_the_filter_is_found_and_taken_away_alone(
    parameters: str | None, leaves_out: bool, rest: str | None
) -> None:
    """Other parameters of the stream stay."""
    config = {"a": "1"} if parameters is None else {"a": "1", "slot.stream.params": parameters}
    assert origins.leaves_out(config) is leaves_out
    assert origins.without_filter(config) == (
        {"a": "1"} if rest is None else {"a": "1", "slot.stream.params": rest}
    )
    assert (origins.left_out(["subscription s"], config) is not None) is leaves_out
    assert origins.left_out([], config) is None


@pytest.mark.parametrize(
    ("reason", "large"),
    [
        ("Java heap space", True),
        (
            (
                "The message is 1048671 bytes when serialized which is larger than 1048576, "
                "max.request.size"
            ),
            True,
        ),
        ("ERROR: invalid memory alloc request size 1073741824", True),
        ('ERROR: publication "nosuch" does not exist', False),
        ("Connection to localhost:5432 refused", False),
    ],
)
def test_what_is_too_large_is_told_by_its_words(reason: str, large: bool) -> None:
    """Of Java, Kafka and Postgres; a row is named where one was found."""
    assert too_large.is_too_large(reason) is large
    row = too_large.LargeRow("public.posts", "5", 200 * 2**20)
    assert too_large.sentence(reason, row).endswith(
        "the largest row is 5 of public.posts, 200.0 MB"
    )
    assert "logical message" in too_large.sentence(reason, None)
