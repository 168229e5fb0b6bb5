"""One walk: each action is judged, then only what the commands say is followed to the
end.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from random import Random
from typing import Any, Final

import psycopg2

from connectors.postgres.session import Session
from schemas.errors import ConfigurationError, VectrueError
from streams.common import embedders, targets
from tests.support.killed import killed_before
from tests.support.migrate_walk import obstacles, reading, state, tables
from tests.support.migrate_walk.actions import Action
from tests.support.migrate_walk.filler import Filler
from tests.support.migrate_walk.report import Report
from tests.support.waiting import until
from tests.support.workplace import Workplace

_MOST_STEPS: Final = 40
"""Of a way out: three columns, each some steps from the end, and each step asked for
its settings.
"""
_SESSIONS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'vectrue %'
        AND pid <> pg_backend_pid()
"""


class Lost(AssertionError):
    """A promise that a walk saw broken; the message holds the transcript."""


class Walk:
    """Walks in one workplace, one after the other."""

    def __init__(self, place: Workplace, report: Report, random: Random) -> None:
        """Make the tables, and have them kept in step.

        Args:
            place: with nothing in it.
            report: takes the figures.
            random: of the rows.
        """
        self._place, self._report = place, report
        self._filler = Filler(place.settings)
        self._lines: list[str] = []
        self._steps = 0
        for table in tables.TABLES:
            tables.make(place, table, random)
        self.scoped = "--table" in place.vectrue("migrate", "swap", "--help").stdout
        place.vectrue("init")
        self._replay()

    def walk(self, actions: Sequence[Action]) -> None:
        """Do all this, then find the way out.

        Raises:
            Lost: a step harmed something, or no way leads out.
        """
        self._lines = [f"from {self._place.settings.model.dimensions} {self._states()}"]
        self._steps = len(actions)
        for action in actions:
            self._lines.append(str(action))
            self._act(action)
        self._way_out()
        obstacles.remove(self._place)
        self._report.walks += 1
        self._report.longest = max(self._report.longest, self._steps)

    def _act(self, action: Action) -> None:
        place = self._place
        listed = tuple(table.name for table in place.settings.tables)
        match action.kind:
            case "settings" if action.length:
                place.with_settings(model={"dimensions": action.length})
            case "settings":
                place.with_settings(
                    tables=[tables.BY_NAME[name].settings for name in action.tables]
                )
            case "write":
                self._write(action)
            case "obstacle":
                self._lines[-1] += f" ({obstacles.put(place, action)})"
            case "no obstacle":
                obstacles.remove(place)
            case "replay":
                self._command(("replay", "run"), listed)
            case "init":
                self._command(("init",), listed, action.kill)
            case verb:
                model = ("-m", "lexical", "-d", str(action.length)) if verb == "start" else ()
                named = action.tables if self.scoped else ()
                chosen = tuple(part for name in named for part in ("-t", name))
                scope = named or listed
                self._command(
                    ("migrate", verb, *model, *action.options, *chosen), scope, action.kill
                )

    def _command(
        self, words: tuple[str, ...], scope: Sequence[str], kill: int | None = None
    ) -> str:
        """Type a command; returns what it says against it, empty when it is done."""
        before = state.read(self._place)
        if words[:2] == ("replay", "run"):
            code, said = self._replay(*words[2:])
        else:
            with killed_before(kill):
                done = self._place.vectrue(*words, check=False, timeout=200)
            code, said = done.returncode, done.stderr
        self._lines.append(f"    {code} {' '.join(said.split())[-400:]}")
        killed = code == -9
        if killed:
            until(
                lambda: not self._place.value(_SESSIONS),
                what="the server to notice that a command was killed",
            )
        verb = words[1] if words[0] == "migrate" else words[0]
        self._report.ended[f"{verb} {'killed' if killed else 'refused' if code else 'done'}"] += 1
        self._check(verb, before, scope, code, said)
        return said if code else ""

    def _check(
        self, verb: str, before: dict[str, state.Column], scope: Sequence[str], code: int, said: str
    ) -> None:
        after = state.read(self._place)
        self._lines.append(f"    {self._states(after)}")
        self._report.states[tuple(column.state for column in after.values())] += 1
        if (
            code not in (0, 1, 2, 78, -9)
            or "Traceback" in said
            or (code > 0 and "error:" not in said)
        ):
            raise self._lost(f"{verb} ended with {code} and no sentence: {said}")
        wrong = state.judge(verb, before, after, scope=scope, refused=code > 0, killed=code == -9)
        for name, column in after.items():
            table = tables.BY_NAME[name]
            for vector in column.vectors:
                wrong += self._untrue(table, vector)
            offline_end = verb == "finish" and before[name].state == "offline"
            if before[name].state != column.state and (verb == "swap" or offline_end):
                wrong += self._untrue(table, "embedding", self._model(before[name].lengths))
        if wrong:
            raise self._lost("; ".join(wrong))

    def _untrue(self, table: tables.Table, column: str, wanted: str | None = None) -> list[str]:
        try:
            return tables.untrue(self._place, table, column, wanted=wanted)
        except VectrueError as error:
            if isinstance(error.__cause__, psycopg2.errors.UndefinedColumn):
                return []  # a column without provenance claims nothing
            raise

    def _model(self, lengths: tuple[int, int] | None) -> str | None:
        return tables.model(lengths[1]).model_id if lengths else None

    def _replay(self, *more: str) -> tuple[int, str]:
        """`replay run` to its end, and a worker that works it off; exit code and words,
        or those of a worker.
        """
        began = self._place.log("replay") if (self._place.directory / "replay.log").exists() else ""
        process = self._place.start("replay", "run", *more, log="replay")
        try:
            self._filler.work_until(self._place, process)
        except VectrueError as error:
            process.kill()
            process.wait()
            return error.exit_code, f"error: {error}"
        return process.wait(), self._place.log("replay")[len(began) :]

    def _write(self, action: Action) -> None:
        random = Random(action.seed)
        for name in action.tables or tuple(tables.BY_NAME):
            table = tables.BY_NAME[name]
            one = (
                f"(SELECT ctid FROM {table.quoted} ORDER BY {table.key} OFFSET "
                f"{random.randint(0, 5)} LIMIT 1)"
            )
            if action.what == "insert":
                tables.insert(self._place, table, random.getrandbits(30), random)
            elif action.what == "update":
                texts = ", ".join(f"{text} = %s" for text in table.texts)
                values = [tables.words(random) for _ in table.texts]
                self._place.execute(f"UPDATE {table.quoted} SET {texts} WHERE ctid = {one}", values)
            elif self._place.value(f"SELECT count(*) > 3 FROM {table.quoted}"):
                self._place.execute(f"DELETE FROM {table.quoted} WHERE ctid = {one}")

    def _way_out(self) -> None:
        """Follow what is said until no migration is under way, `init` has nothing
        against it, and all is true.
        """
        tried: set[Any] = set()
        refusal: tuple[str, tuple[str, ...]] = ("", ())
        again: list[reading.Step] = []
        for count in range(_MOST_STEPS):
            wanted = self._wanted()
            if not wanted:
                self._report.ways.append(count)
                self._steps += count
                return
            at = state.content(self._place)
            steps = [*again, *self._told(*refusal), *self._told(wanted)]
            step = next((step for step in steps if (at, step, refusal) not in tried), None)
            if step is None:
                raise self._lost(
                    f"no way out; told: {wanted}; refused: {refusal[0]}; tried: "
                    f"{[str(s) for s in steps]}"
                )
            tried.add((at, step, refusal))
            self._lines.append(f"-> {step}")
            # The reason of a refusal is fixed, so the command is typed again.
            again = [reading.Step(command=refusal[1])] if refusal[1] and not step.command else []
            said = self._follow(step)
            refusal = (said, step.command) if said else ("", ())
        raise self._lost(f"no way out in {_MOST_STEPS} steps")

    def _told(self, said: str, typed: tuple[str, ...] = ()) -> Iterator[reading.Step]:
        listed = {table.name for table in self._place.settings.tables}
        unlisted = [name for name in tables.BY_NAME if name not in listed]
        now = self._place.settings.model.dimensions
        return reading.told(said, lengths=tables.lengths(), now=now, unlisted=unlisted, typed=typed)

    def _follow(self, step: reading.Step) -> str:
        place = self._place
        if step.statement:
            try:
                place.execute(step.statement)
            except VectrueError as error:
                return error.message
            return ""
        if step.length:
            place.with_settings(model={"dimensions": step.length})
            self._require_workers(step)
            return ""
        if step.tables:
            listed = [table.name for table in place.settings.tables]
            place.with_settings(
                tables=[tables.BY_NAME[name].settings for name in (*listed, *step.tables)]
            )
            return ""
        chosen = [
            word
            for before, word in zip(step.command, step.command[1:], strict=False)
            if before == "-t"
        ]
        return self._command(
            step.command, chosen or [table.name for table in place.settings.tables]
        )

    def _require_workers(self, step: reading.Step) -> None:
        """Settings that a sentence asked for are such as a worker starts with, and a
        search finds by.
        """
        settings = self._place.settings
        with closing(
            Session(settings.postgres.dsn, role="walk", prefix=settings.kafka.topic_prefix)
        ) as session:
            try:
                embedders.for_targets(settings, session, targets.resolve(settings, session))
                embedders.for_targets(settings, session, targets.served(settings, session))
            except ConfigurationError as error:
                raise self._lost(
                    f"no worker starts with what was told ({step}): {error}"
                ) from error

    def _wanted(self) -> str:
        """The first thing that speaks against the end, in the command's own words;
        empty at the end.
        """
        place = self._place
        done = place.vectrue("migrate", "status", "-o", "json", check=False)
        if done.returncode:
            return done.stderr
        report = json.loads(done.stdout)
        if report["next"]:
            return str(report["next"])
        if report.get("elsewhere"):
            return place.vectrue("migrate", "status").stdout
        if left := [name for name, column in state.read(place).items() if column.state != "none"]:
            raise self._lost(f"`migrate status` says that nothing is under way, and {left} are")
        # no one says so: they were taken out on purpose
        if len(place.settings.tables) < len(tables.TABLES):
            place.with_settings(tables=[table.settings for table in tables.TABLES])
        done = place.vectrue("init", check=False)
        if done.returncode:
            return done.stderr
        done = place.vectrue("status", "-o", "json", check=False)
        seen = json.loads(done.stdout)
        if done.returncode or any(
            line["rows"] != line["current"] + line["blank"] for line in seen["tables"]
        ):
            return str(seen["verdict"])
        self._check_end()
        return ""

    def _check_end(self) -> None:
        wrong = []
        for name, column in state.read(self._place).items():
            query = "SELECT model, dimensions FROM vectrue.targets WHERE table_name = %s"
            targets = self._place.execute(query, (name,))
            if len(targets) != 1 or dict(column.vectors) != {"embedding": targets[0][1]}:
                wrong.append(
                    f"{name}: {targets} are wanted, and {dict(column.vectors)} stand there"
                )
            else:
                wrong += self._untrue(tables.BY_NAME[name], "embedding", targets[0][0])
        if wrong:
            raise self._lost("; ".join(wrong))

    def _states(self, columns: dict[str, state.Column] | None = None) -> str:
        found = columns or state.read(self._place)
        return " ".join(
            f"{column.state}{sorted(column.vectors.values())}" for column in found.values()
        )

    def _lost(self, why: str) -> Lost:
        return Lost("\n".join([*self._lines, "", why]))
