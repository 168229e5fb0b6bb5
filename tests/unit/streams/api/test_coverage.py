"""The coverage in answers over HTTP: looked at beside the requests, seldom, and never
guessed. No time passes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from connectors.twins.memory import MemoryClock
from schemas.errors import TransientError
from schemas.reports.search import BY_COMMAND, Searched
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn, Target
from streams.api.answers import CoverageBody
from streams.api.coverage import CoverageCache

ONE = Target(
    TableName("public", "questions"),
    "embedding",
    "question",
    (KeyColumn("id", "bigint"),),
    "m@1",
    4,
)
OTHER = replace(ONE, table=TableName("public", "answer_bank"))
SECONDS = 60.0


class Room:
    """A coverage whose looks wait at a gate, and are remembered."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.gate = asyncio.Event()
        self.looks: list[str] = []
        self.current = 10
        self.fails = False
        self.coverage = CoverageCache(self.clock, self._look, seconds=SECONDS)

    async def _look(self, target: Target) -> Searched:
        self.looks.append(str(target.table))
        await self.gate.wait()
        if self.fails:
            raise TransientError("Postgres did not finish the statement")
        return Searched(str(target.table), 10, self.current, 10 - self.current, 0, True)

    async def ask(self, *targets: Target) -> tuple[list[CoverageBody] | None, list[str]]:
        """What a search is told; then whatever that started goes as far as it can."""
        told = self.coverage.of(targets)
        await self.settle()
        return told

    async def settle(self) -> None:
        """Let every task go as far as it can."""
        for _ in range(10):
            await asyncio.sleep(0)


def play(story: Callable[[Room], Awaitable[None]]) -> None:
    """Run a story in an event loop of its own."""

    async def run() -> None:
        await story(Room())

    asyncio.run(run())


def test_nothing_is_said_before_the_first_look_is_over() -> None:
    """Null and no warning while it is unknown, however often one asks; then the
    figures, with their age.
    """

    async def story(room: Room) -> None:
        for _ in range(5):
            assert await room.ask(ONE) == (None, [])
        room.gate.set()
        await room.settle()
        room.clock.advance(2.0)
        figures, warnings = await room.ask(ONE)
        assert figures is not None
        (seen,) = figures
        assert (seen.table, seen.rows, seen.current) == ("public.questions", 10, 10)
        assert (seen.coverage, seen.age_seconds) == (1.0, 2.0)
        assert warnings == []
        assert room.looks == ["public.questions"]

    play(story)


def test_a_look_holds_for_its_time_and_is_answered_with_until_the_next_is_over() -> None:
    """A hundred searches within a minute look once; the one after it starts a look, and
    waits for none.

    A look that takes for minutes is not joined by others.
    """

    async def story(room: Room) -> None:
        room.gate.set()
        for _ in range(100):
            await room.ask(ONE)
            room.clock.advance(SECONDS / 101)
        assert len(room.looks) == 1
        room.current = 7
        room.gate.clear()
        for _ in range(3):
            room.clock.advance(SECONDS)
            assert (await room.ask(ONE))[1] == []
        assert len(room.looks) == 2
        room.gate.set()
        await room.settle()
        (warning,) = (await room.ask(ONE))[1]
        told = f"3 are not searched; {BY_COMMAND}"
        assert warning == f"70.0 % of 10 rows of public.questions were covered 2m00s ago: {told}"
        room.clock.advance(SECONDS)
        await room.ask(ONE)
        (warning,) = (await room.ask(ONE))[1]
        assert warning == f"70.0 % of 10 rows of public.questions are covered: {told}"

    play(story)


def test_columns_are_known_apart() -> None:
    """The answer holds the tables that were searched, and no others; one that is not
    known yet is left out.
    """

    async def story(room: Room) -> None:
        room.gate.set()
        await room.ask(ONE)
        room.gate.clear()
        assert [seen.table for seen in (await room.ask(ONE, OTHER))[0] or []] == [
            "public.questions"
        ]
        room.gate.set()
        await room.settle()
        both, _ = await room.ask(ONE, OTHER)
        assert [seen.table for seen in both or []] == ["public.questions", "public.answer_bank"]
        assert [seen.table for seen in (await room.ask(OTHER))[0] or []] == ["public.answer_bank"]

    play(story)


def test_a_look_that_fails_is_a_warning_and_not_repeated_at_once() -> None:
    """Old figures are not kept for true when the table cannot be read; a minute later
    it is tried again.
    """

    async def story(room: Room) -> None:
        room.gate.set()
        await room.ask(ONE)
        room.fails = True
        room.clock.advance(SECONDS)
        for _ in range(3):
            await room.ask(ONE)
        figures, warnings = await room.ask(ONE)
        assert figures is None
        why = "(Postgres did not finish the statement): vectrue doctor"
        assert warnings == [f"how much of public.questions is covered is not known {why}"]
        assert len(room.looks) == 2
        room.fails = False
        room.clock.advance(SECONDS)
        await room.ask(ONE)
        assert (await room.ask(ONE))[1] == []

    play(story)


def test_a_warning_says_what_to_do() -> None:
    """Its age once that is more than seconds; which run fills the rows; for those in
    quarantine another command.
    """
    seen = Searched("public.questions", 10, 4, 3, 2, True)
    start = "40.0 % of 10 rows of public.questions"
    counts = "3 are not searched, 1 are found by an older text, 2 are in quarantine"
    assert seen.warning(4.0) == f"{start} are covered: {counts}; {BY_COMMAND}"
    filling = replace(seen, way="replay run 7 is filling them")
    assert (
        filling.warning(45.0)
        == f"{start} were covered 45.0 s ago: {counts}; replay run 7 is filling them"
    )
    aside = Searched("public.questions", 10, 8, 0, 2, True).warning()
    assert aside == (
        "80.0 % of 10 rows of public.questions are covered: 2 are in quarantine; vectrue dlq list"
    )
