"""One cause is counted once: the rule, and what is said to need what."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.health import needs
from schemas.health.check_result import CheckResult, Level, ok, problem, settle, unknown, warning
from schemas.health.needs import Needs
from schemas.settings.reading import load

NEEDS = Needs(load(tables=[{"name": "public.posts", "text": "title"}]))
PARTS = list("abcdef")
EDGES = {
    NEEDS.publication: needs.SET_UP,
    NEEDS.slot: needs.SET_UP,
    needs.RIGHTS: (*needs.SET_UP, needs.SCHEMA),
    needs.TOPICS: needs.SET_UP,
    needs.CONNECT: (needs.KAFKA,),
    NEEDS.connector: NEEDS.running,
    needs.READER: NEEDS.reader,
    needs.WORKERS: NEEDS.workers,
    "canary": NEEDS.canary,
}


def counted(findings: list[CheckResult]) -> list[tuple[str, Level]]:
    """What is a problem or a warning."""
    return [
        (one.check, one.level)
        for one in settle(findings)
        if one.level in (Level.PROBLEM, Level.WARNING)
    ]


def test_what_follows_is_shown_with_its_cause_and_not_counted() -> None:
    """Through others that follow too; sentence and place stay, and the command is the
    cause's alone.
    """
    found = settle(
        [
            warning("canary", "late", "wait", follows=["connector"]),
            problem("slot", "is gone", "init"),
            problem("connector", "failed", "mend that", follows=["slot"]),
            unknown("lag", "unread", follows=["connector"]),
            ok("model", "is there"),
        ]
    )
    assert [(one.check, one.level, one.cause) for one in found] == [
        ("canary", Level.UNKNOWN, "slot"),
        ("slot", Level.PROBLEM, None),
        ("connector", Level.UNKNOWN, "slot"),
        ("lag", Level.UNKNOWN, "slot"),
        ("model", Level.OK, None),
    ]
    assert (found[0].sentence, found[0].fix) == ("late", None)
    assert found[0].to_json() == {
        "check": "canary",
        "status": None,
        "sentence": "late",
        "fix": None,
        "cause": "slot",
    }


def test_a_cause_of_its_own_is_not_hidden() -> None:
    """Neither a part that nothing failed of, nor one whose need has a warning only."""
    own = [
        problem("a", "x", follows=["b"]),
        warning("b", "y"),
        problem("c", "z"),
        unknown("d", "w", follows=["b"]),
    ]
    assert counted(own) == [("a", Level.PROBLEM), ("b", Level.WARNING), ("c", Level.PROBLEM)]


def test_a_part_explains_and_not_the_line_that_it_stands_in() -> None:
    """A slot that nobody reads explains no connector that failed; one that is gone
    does.
    """
    idle = problem("slot", "is read by nobody", part="reader", follows=["connector"])
    failed = problem("connector", "failed", follows=["slot"])
    assert counted([idle, failed]) == [("connector", Level.PROBLEM)]


def test_lines_of_one_check_that_follow_from_the_same_are_one() -> None:
    """A table's three lines, once its extension is gone."""
    found = settle([problem("a", "x"), *(problem("t", said, follows=["a"]) for said in "pqr")])
    assert [(one.check, one.sentence) for one in found] == [("a", "x"), ("t", "p")]


@given(
    st.lists(
        st.tuples(st.sampled_from(PARTS), st.lists(st.sampled_from(PARTS), max_size=4)), min_size=1
    )
)
def test_whatever_explains_whatever_something_is_counted(
    lines: list[tuple[str, list[str]]],
) -> None:
    """Circles too: with a problem there is a problem, so the exit code does not depend
    on what follows from what.
    """
    found = settle([problem(check, "x", follows=follows) for check, follows in lines])
    problems = {one.check for one in found if one.level is Level.PROBLEM}
    assert problems
    assert {one.cause for one in found if one.cause} <= {check for check, _ in lines}


def test_no_part_needs_what_needs_it() -> None:
    """What is needed is listed before; nothing goes in a circle."""
    done: set[str] = set()

    def walk(part: str, above: tuple[str, ...]) -> None:
        assert part not in above, f"{part} needs itself: {above}"
        for needed in () if part in done else EDGES.get(part, ()):
            walk(needed, (*above, part))
        done.add(part)

    for part in EDGES:
        walk(part, ())
