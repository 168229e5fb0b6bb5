"""Every page by its name, which is also the name of its file."""

from pathlib import Path

from connectors.local.stack import PartStatus
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
from schemas.reports.quality import QualityRun
from schemas.reports.search import Hit, SearchResult, Timings
from streams.cli import doctor, local
from streams.cli.data import adopt, status, verify
from streams.cli.models import compare, quality, search
from streams.cli.screen import (
    dlq_page,
    lag_page,
    output,
)
from streams.dead_letters.outcomes import Result
from tests.support.lag import report
from tests.support.root import ROOT
from tests.support.screens import migration, replay
from tests.support.screens.drawing import Page
from tests.support.screens.names import COLUMN, LONG, MODEL, NOW

FOLDER = ROOT / "tests/unit/screens"


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
    "replay-status": Page(replay.status, has_more=True),
    "replay-outcome": Page(replay.outcome),
    "replay-plan": Page(replay.plan),
    "verify": Page(_verify, has_more=True),
    "adopt": Page(_adopt),
    "dlq": Page(_dlq, has_more=True),
    "doctor": Page(_doctor),
    "compare": Page(_compare),
    "quality": Page(_quality, has_more=True),
    "search": Page(_search),
    "migrate-plan": Page(migration.plan_page),
    "migrate-status": Page(migration.status_page, has_more=True),
    "local-status": Page(_local),
}
