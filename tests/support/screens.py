"""The screens of the commands: `python -m tests.support.screens` writes
tests/unit/screens anew, for reading.

Each page is drawn from fixed data at 80 and at 120 columns, with `-o wide` at 80 where
that is more, and into a pipe.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

from connectors.local.stack import PartStatus
from connectors.postgres.migrations import dependents
from connectors.postgres.migrations.twins import Index, IndexTwins
from schemas.health.check_result import ok, problem, warning
from schemas.health.lag import ConnectorState, GroupLag, Member, PartitionLag, Status
from schemas.messages.dead_letter import Entry
from schemas.reports.adoption import Candidates
from schemas.reports.audit_report import Deep, RowGroup, Truth
from schemas.reports.comparison import (
    Comparison,
    Differing,
    Estimate,
    JudgedQuery,
    Latency,
    MeasureLine,
    Percentiles,
    Side,
)
from schemas.reports.coverage import Coverage
from schemas.reports.migration import ColumnMigration, MigrationState
from schemas.reports.quality import QualityRun
from schemas.reports.replay import Request, Run, ScopeProgress
from schemas.reports.search import Hit, SearchResult, Timings
from schemas.rows.index_definition import Definition, Vectors
from schemas.rows.table import TableName
from schemas.rows.target import Target
from streams.cli import doctor, local
from streams.cli.data import adopt, status, verify
from streams.cli.models import compare, quality, search
from streams.cli.screen import (
    dlq_page,
    lag_page,
    migrate_page,
    output,
    replay_page,
    replay_plan_page,
)
from streams.dead_letters.outcomes import Result
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.planning import command_list as migrate_list
from streams.migration.planning import plan_report as migrate_plan
from streams.migration.planning import todo as migrate_todo
from streams.replay.control import RunStatus
from streams.replay.outcome import RunOutcome
from streams.replay.plan import ReplayPlan, ScopePlan
from tests.support.lag import report
from tests.support.root import ROOT

FOLDER = ROOT / "tests/unit/screens"
WIDTHS = (80, 120)
OLD = "jhgan/ko-sroberta-multitask@ab957ae+0c1de2f3"
MODEL = "BAAI/bge-m3@5617a9f61b02+1f3c9a77"
LONG = "면접.면접_질문과_모범_답안_모음_한국어_자료"
"""A name of 63 bytes, as long as Postgres has them, in a schema of its own; its column
has one of 31 cells.
"""
COLUMN = "embedding_of_question_and_answer"
RUN = UUID("0198c0de-0000-7000-8000-00000000beef")
NOW = datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """What draws a page, and whether `-o wide` shows more; it is told whether
    everything is wanted.
    """

    draw: Callable[[bool], object]
    has_more: bool = False


@contextlib.contextmanager
def drawn(width: int | None) -> Iterator[io.StringIO]:
    """Both screens with a width of columns; None is a pipe. Yields what is printed on
    either.
    """
    written = io.StringIO()
    with (
        contextlib.redirect_stdout(written),
        contextlib.redirect_stderr(written),
        patch.object(output.out, "_width", width),
        patch.object(output.err, "_width", width),
    ):
        yield written


def screen(page: Page, width: int | None, *, wide: bool = False) -> str:
    """A page as it looks."""
    with drawn(width) as written:
        page.draw(wide)
    return written.getvalue()


def document(page: Page) -> str:
    """All looks of a page under headings of their own."""
    looks: list[tuple[str, int | None, bool]] = [
        (f"{width} columns", width, False) for width in WIDTHS
    ]
    looks += [("80 columns, -o wide", 80, True)] if page.has_more else []
    looks += [("no terminal", None, False)]
    return "\n".join(f"=== {name}\n{screen(page, width, wide=wide)}" for name, width, wide in looks)


def _status(wide: bool) -> None:
    columns = [
        Coverage(
            "public.questions", "embedding", MODEL, 1024, 1_204_331, 1_203_900, 12, 0, 0, 419, 0, 0
        ),
        Coverage(LONG, COLUMN, MODEL, 1024, 237, 237, 0, 0, 0, 0, 0, 0),
    ]
    output.out.print(status.counts(columns, wide=wide))


def _bad_status(wide: bool) -> None:
    line = Coverage(
        "public.questions",
        "embedding",
        MODEL,
        1024,
        1_204_331,
        1_100_000,
        12,
        319,
        100_000,
        419,
        1,
        3_580,
    )
    output.out.print(status.counts([line], wide=wide))


def _lag(wide: bool) -> None:
    reader = Member(
        "faust-1.0.0-5f0c1e02-7f5b-4b59-9f1c-0d4a4ac2a111", "10.12.0.117", "faust-1.0.0"
    )
    rows = (
        PartitionLag("vectrue.public.questions", 0, 1_204_331, 0, 1_205_566, 12.3, member=reader),
        PartitionLag(
            f"vectrue.{LONG}", 11, None, 0, 7, 2.0, status=Status.NO_COMMIT, member=reader
        ),
    )
    seen = report(
        live=GroupLag("vectrue-live", "stable", 1, rows),
        connector=ConnectorState("vectrue-postgres", "RUNNING", ("RUNNING",)),
    )
    for part in lag_page.page(seen, wide=wide):
        output.out.print(part)


def _scope(table: str, column: str) -> ScopeProgress:
    return ScopeProgress(
        table,
        column,
        "running",
        1_000_000,
        True,
        1_000_000,
        431_204,
        430_000,
        0,
        1_201,
        0,
        0,
        0,
        0,
        3,
        0,
        0,
    )


def _replay_status(wide: bool) -> None:
    run = Run(RUN, "running", NOW, None, None, None, (), Request(since=NOW, rate=500.0))
    scopes = (_scope("public.questions", "embedding"), _scope(LONG, COLUMN))
    replay_page.show_statuses(
        [RunStatus(run, scopes, {None: 1_912.0, "public.questions.embedding": 1_912.0})], wide=wide
    )


def _replay_outcome(wide: bool) -> None:
    one, other = (
        replace(_scope(table, column), state="done", sent=431_204)
        for table, column in (("public.questions", "embedding"), (LONG, COLUMN))
    )
    scopes = (replace(one, current=1_199, gone=2), other)
    replay_page.show_outcome(RunOutcome(RUN, "done", False, scopes, []))


def _replay_plan(wide: bool) -> None:
    scopes = tuple(
        ScopePlan(
            table,
            column,
            MODEL,
            True,
            1_204_331,
            1_100_000,
            419,
            0,
            104_331,
            103_912,
            408,
            612.0,
            81_920,
            141.0,
            str(RUN),
            737.0,
            912_000_000,
            510_000_000,
            True,
        )
        for table, column in (("public.questions", "embedding"), (LONG, COLUMN))
    )
    replay_plan_page.show_plan(ReplayPlan(Request(), scopes, 2, 2, 30.0, None))


def _verify(wide: bool) -> None:
    deep = Deep(1_000, lowest_cosine=0.999_998, cosine_sum=1_000.0, compared=1_000)
    fine = RowGroup("current", (), 1_203_900)
    verify._print(
        [
            Truth(
                "public.questions",
                "embedding",
                MODEL,
                (fine, RowGroup("missing", (), 12, (("17",), ("한글 키",)))),
            ),
            Truth(
                LONG,
                COLUMN,
                MODEL,
                (fine, RowGroup("current", ("not_unit_length",), 2, (("4711",),))),
                deep,
            ),
        ],
        wide=wide,
    )


def _adopt(wide: bool) -> None:
    deep = Deep(100, lowest_cosine=0.999_998, cosine_sum=100.0, compared=100)
    adopt._print(
        [
            Candidates(table, column, MODEL, {"adoptable": 1_204_331, "recent": 3}, deep, 1_204_331)
            for table, column in (("public.questions", "embedding"), (LONG, COLUMN))
        ]
    )


def _dlq(wide: bool) -> None:
    reason = "the value is not JSON: Expecting value: line 1 column 1 (char 0)"
    event = f"vectrue.{LONG}/11/1204331"
    entries = [
        Entry(
            "row-0f3a9c81d2e4",
            "row",
            "public.questions",
            "embedding",
            ("17",),
            "문장이 8,192 토큰보다 깁니다",
            "PoisonText",
            "embed",
            3,
            NOW,
            NOW,
        ),
        *(
            Entry(id_, "event", None, None, None, reason, "PoisonEvent", "decode", 1, NOW, NOW, 9)
            for id_ in ("vectrue.public.questions/3/1234", event)
        ),
    ]
    dlq_page.show_entries(entries[:2], wide=wide)
    output.out.print()
    dlq_page.show_entries(entries[1:], wide=wide)
    output.out.print()
    dlq_page.show_results(
        [Result(entry.id, "not sent", entry.reason) for entry in entries], output.Format.TABLE
    )


def _doctor(wide: bool) -> None:
    findings = [
        ok("settings", "vectrue.toml is read"),
        warning("slot", "vectrue retains 1.2 GB of WAL", "see docs/reliability.md"),
        problem(
            "table",
            f"{LONG} has no primary key, so that none of its rows can be named, and "
            f'"{COLUMN}" stays empty',
            f'ALTER TABLE {LONG} ADD PRIMARY KEY ("번호")',
        ),
    ]
    doctor._print(findings, 1)


def _compare(wide: bool) -> None:
    estimates = (
        Estimate(0.512, 0.441, 0.58),
        Estimate(0.802, 0.744, 0.861),
        Estimate(0.29, 0.21, 0.372),
    )
    times = Percentiles(0.0123, 0.0456)
    sides = [
        Side(
            name,
            model,
            384,
            1.2,
            100_000_000,
            2_400_000_000,
            222,
            141.3,
            222,
            340_992,
            None,
            {"exact": Latency(times, times, times, (0.1,) * 20)},
        )
        for name, model in (
            ("multilingual-e5-small", "multilingual-e5-small@614241f6"),
            ("BAAI/bge-m3", MODEL),
        )
    ]
    groups = ("all", "오타가 있는 질문")
    lines = [
        MeasureLine(group, 200, measure, *estimates)
        for group in groups
        for measure in ("recall@10", "nDCG@10")
    ]
    first = "파이썬의 GIL이 멀티스레딩에 어떤 영향을 주는지 설명해 주세요"
    asked = JudgedQuery(3, "파이썬 쓰레드는 왜 동시에 안 도나요?", (("17",),), "오타가 있는 질문")
    differing = [Differing(asked, 0.1, 0.9, None, 1, None, first)]
    compare._print(
        Comparison(
            sides[0],
            sides[1],
            200,
            22,
            "public.questions",
            100,
            0,
            {"exact": lines},
            ([], []),
            differing,
        )
    )


def _quality(wide: bool) -> None:
    runs = [
        QualityRun(table, MODEL, NOW, 1_200, 0, "index", 0.81234, 0.9, 0.7, 0.0123, 0.0456)
        for table in ("public.questions", LONG)
    ]
    quality._print(runs, [], output.Format.WIDE if wide else output.Format.TABLE)


def _made(
    table: str, column: str, state: MigrationState, *, offline: bool = False
) -> ColumnMigration:
    to = {"name": "BAAI/bge-m3"}
    return ColumnMigration(
        TableName.parse(table), column, state, offline, False, OLD, 768, MODEL, 1024, to_settings=to
    )


def _standing(table: str, column: str, built: int) -> IndexTwins:
    vectors = Vectors(column, 768, OLD), Vectors(f"{column}_v2", 1024, MODEL)
    definition = Definition(f"CREATE INDEX near ON {table} USING hnsw ({column} vector_cosine_ops)")
    found = tuple(
        Index(i, name, TableName.parse(table), 1, 0, False, None, definition, True, 0)
        for i, name in enumerate(("가까운_질문", "near"))
    )
    broken = Index(9, "near_v2", TableName.parse(table), 1, 0, False, None, definition, False, 0)
    return IndexTwins(
        *vectors, found, tuple(found[:built]) + (None,) * (2 - built), (broken,), (), ()
    )


def _moving() -> list[ColumnStatus]:
    swapped = _made(LONG, COLUMN, MigrationState.SWAPPED)
    return [
        ColumnStatus(
            _made("public.questions", "embedding", MigrationState.STARTED),
            1_204_331,
            104_331,
            _standing("public.questions", "embedding", 1),
            104_331,
        ),
        ColumnStatus(
            swapped,
            237,
            0,
            _standing(LONG, COLUMN, 2),
            0,
            named=False,
            readers=("view 면접.가까운",),
        ),
    ]


def _migrate_status(wide: bool) -> None:
    offline = ColumnStatus(
        _made("app.answers", "embedding", MigrationState.STARTED, offline=True),
        12,
        0,
        _standing("app.answers", "embedding", 0),
        0,
    )
    migrate_page.show_status(MigrationStatus([*_moving(), offline]), wide=wide)


def _migrate_plan(_wide: bool) -> None:
    index = {
        "name": "near",
        "table": "public.questions",
        "bytes": 1_912_000_000,
        "method": "hnsw",
        "definition": "",
    }
    view = dependents.Dependent(
        "view",
        "면접.가까운",
        "DROP VIEW 면접.가까운",
        "SELECT pg_get_viewdef(oid) FROM pg_class",
        blocks=True,
    )
    target = Target(TableName.parse(LONG), COLUMN, OLD, (), "", 768)
    todo = migrate_todo.of_dependent(
        view, "김철수", target, _made(LONG, COLUMN, MigrationState.SWAPPED), offline=False
    )
    started, swapped = _moving()
    fresh = TableName.parse("app.answers")
    behind = migrate_todo.Todo(
        "start",
        True,
        "role 이영희 of postgres.admin_dsn does not own app.answers",
        'GRANT "김철수" TO "이영희"',
        "김철수",
    )
    tables = [
        migrate_plan.TablePlan(
            table,
            column,
            state,
            rows,
            OLD,
            768,
            1024,
            size,
            more,
            912_000_000_000,
            parts,
            ("near",),
            (index,) if state == "started" else (),
            2_549_000_000,
            ("near_v2",) if state == "started" else (),
            (),
            took,
            notes,
        )
        for table, column, state, rows, size, more, parts, took, notes in (
            (
                "public.questions",
                "embedding",
                "started",
                1_204_331,
                5_210_000_000,
                5_104_000_000,
                12,
                8_540.0,
                (),
            ),
            (LONG, COLUMN, "swapped", 237, 1_000_000, 1_000_000, 0, 2.0, (todo,)),
            (str(fresh), "embedding", None, None, None, None, 0, None, (behind,)),
        )
    ]
    entries = [
        migrate_list.TableCommands(started.migration.table, started, False, False, ()),
        migrate_list.TableCommands(swapped.migration.table, swapped, False, False, (todo,)),
        migrate_list.TableCommands(fresh, None, False, False, (behind,)),
    ]
    commands = migrate_list.lines(
        entries,
        (),
        named=" --model BAAI/bge-m3 --dimensions 1024",
        flags="",
        naming='set model.name = "BAAI/bge-m3" and model.dimensions = 1024 in vectrue.toml',
    )
    said = "public.questions.embedding is on its way to BAAI/bge-m3 (started)"
    made = migrate_plan.MigrationPlan(MODEL, tuple(tables), (), tuple(commands), said)
    migrate_page.show(made, migrate_plan.LOCKS)


def _search(wide: bool) -> None:
    text = (
        "파이썬의 GIL이 멀티스레딩에 어떤 영향을 주는지 설명하고, 멀티프로세싱과 비교해 주세요 👩‍💻"
    )
    near = Hit("public.questions", ("17",), text, 0.9123, NOW, 12.0, True)
    hits = (near, Hit(LONG, ("18",), text, 0.8, NOW, 9e4, False))
    search._print(SearchResult(hits, (MODEL,), Timings(0, 0, 0)))


def _local(wide: bool) -> None:
    folder = Path("/home/김철수/work/vectrue/.vectrue/local/stack")
    parts = [
        PartStatus(
            "postgres",
            "running",
            4711,
            "127.0.0.1:35432",
            folder / "postgres" / "postgres.log",
            "17.4",
        ),
        PartStatus(
            "kafka", "stopped", None, "127.0.0.1:39092", folder / "kafka" / "kafka.log", "4.1.0"
        ),
    ]
    local._print_table(parts)


PAGES: dict[str, Page] = {
    "status": Page(_status, has_more=True),
    "status-bad": Page(_bad_status, has_more=True),
    "lag": Page(_lag, has_more=True),
    "replay-status": Page(_replay_status, has_more=True),
    "replay-outcome": Page(_replay_outcome),
    "replay-plan": Page(_replay_plan),
    "verify": Page(_verify, has_more=True),
    "adopt": Page(_adopt),
    "dlq": Page(_dlq, has_more=True),
    "doctor": Page(_doctor),
    "compare": Page(_compare),
    "quality": Page(_quality, has_more=True),
    "search": Page(_search),
    "migrate-plan": Page(_migrate_plan),
    "migrate-status": Page(_migrate_status, has_more=True),
    "local-status": Page(_local),
}
NAMES: Sequence[str] = (LONG, COLUMN)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, one in PAGES.items():
        (FOLDER / f"{name}.txt").write_text(document(one), encoding="utf-8")
