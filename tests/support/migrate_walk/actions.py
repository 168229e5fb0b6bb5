"""What may happen in a walk, drawn without a look at the state, so that a walk is the
same each time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tests.support.migrate_walk.tables import LENGTHS, TABLES

VERBS: Final = ("start", "index", "swap", "rollback", "finish")
OBSTACLES: Final = (
    "view",
    "view of the new column",
    "function",
    "index by hand",
    "index on the new column",
    "no column beside",
    "constraint",
)


@dataclass(frozen=True)
class Action:
    """One thing that happens.

    Attributes:
        kind: a verb of `vectrue migrate`; `replay`, `init`; `write`; `settings`;
            `obstacle`, `no obstacle`.
        tables: names of the tables it is about; of a verb without any, all of the
            settings.
        length: of the model: of `start`, and of `settings`.
        options: of the verb.
        kill: SIGKILL before this change of the database; None: not.
        what: which obstacle; what is written.
        seed: of what is random within.
    """

    kind: str
    tables: tuple[str, ...] = ()
    length: int = 0
    options: tuple[str, ...] = ()
    kill: int | None = None
    what: str = ""
    seed: int = 0

    def __str__(self) -> str:
        """As a line of a transcript."""
        parts = [
            self.kind,
            self.what,
            str(self.length or ""),
            *self.options,
            *(f"-t {name!r}" for name in self.tables),
        ]
        return " ".join(
            [part for part in parts if part] + ([f"KILL {self.kill}"] if self.kill else [])
        )


def draw(random: Random, longest: int) -> list[Action]:
    """A walk of at most so many actions: half of them lead somewhere, with something in
    between.
    """
    if random.random() < 0.4:
        return [_any(random) for _ in range(random.randint(3, longest))]
    straight = list(_straight(random))
    while len(straight) < longest and random.random() < 0.75:
        straight.insert(random.randrange(len(straight) + 1), _any(random))
    return straight[:longest]


def _straight(random: Random) -> Iterator[Action]:
    """From start to finish, each verb killed now and then and typed again."""
    for step in _steps(random):
        if step.kind in VERBS and random.random() < 0.35:
            yield replace(step, kill=_fatal(random))
        yield step


def _steps(random: Random) -> Sequence[Action]:
    length = random.choice(LENGTHS[1:])
    some = _some(random)
    offline = random.random() < 0.25
    options = ("--offline", "--yes") if offline else _frozen(random)
    steps = [Action("start", some, length, options), Action("replay"), Action("index", some)]
    if not offline:
        steps += [Action("swap", some)]
    if random.random() < 0.4:
        steps += [Action("rollback", _some(random), options=("--yes",))]
    return [*steps, Action("settings", length=length), Action("finish", some, options=("--yes",))]


def _any(random: Random) -> Action:
    kinds: dict[Callable[[Random], Action], float] = {
        _start: 3,
        _verb: 6,
        _replay: 1.5,
        _write: 2,
        _settings: 2,
        _obstacle: 2,
        _freed: 0.7,
        _init: 0.6,
    }
    return random.choices(list(kinds), list(kinds.values()))[0](random)


def _start(random: Random) -> Action:
    options = ("--offline", "--yes") if random.random() < 0.2 else _frozen(random)
    return Action("start", _some(random), random.choice(LENGTHS), options, _kill(random))


def _verb(random: Random) -> Action:
    verb = random.choice(VERBS[1:])
    options = (
        ("--yes",)
        if verb in ("rollback", "finish") or (verb == "swap" and random.random() < 0.3)
        else ()
    )
    return Action(verb, _some(random), options=options, kill=_kill(random))


def _replay(random: Random) -> Action:
    return Action("replay")


def _init(random: Random) -> Action:
    return Action("init", kill=_kill(random))


def _write(random: Random) -> Action:
    return Action(
        "write",
        _some(random),
        what=random.choice(("insert", "update", "delete")),
        seed=random.getrandbits(32),
    )


def _settings(random: Random) -> Action:
    if random.random() < 0.5:
        return Action("settings", length=random.choice(LENGTHS))
    names = [table.name for table in TABLES]
    return Action(
        "settings",
        tuple(names if random.random() < 0.5 else random.sample(names, random.randint(1, 2))),
    )


def _obstacle(random: Random) -> Action:
    return Action("obstacle", (random.choice(TABLES).name,), what=random.choice(OBSTACLES))


def _freed(random: Random) -> Action:
    return Action("no obstacle")


def _some(random: Random) -> tuple[str, ...]:
    if random.random() < 0.45:
        return ()
    return tuple(table.name for table in random.sample(TABLES, random.randint(1, 2)))


def _frozen(random: Random) -> tuple[str, ...]:
    return ("--freeze-old",) if random.random() < 0.2 else ()


def _kill(random: Random) -> int | None:
    return _fatal(random) if random.random() < 0.4 else None


def _fatal(random: Random) -> int:
    # a step is few statements, most of them in one message
    return random.choice((1, 2, 2, 3, 3, 4, 5, 8))
