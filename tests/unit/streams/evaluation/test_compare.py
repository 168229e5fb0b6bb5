"""The comparison: measures worked out by hand, intervals, files of judged queries, the
verdict and the page.
"""

import re
from collections.abc import Sequence
from math import log2
from pathlib import Path

import numpy as np
import pytest

from connectors.models import by_name
from connectors.twins.memory import MemoryClock
from schemas.errors import ModelUnavailable, VectrueError
from schemas.reports.comparison import Comparison, Estimate, JudgedQuery, Latency, Percentiles, Side
from schemas.rows.table import Key
from schemas.settings.sections import ModelSettings
from streams.evaluation import judged, measures
from streams.evaluation.compare import compare, conclusion
from streams.evaluation.compare import report as compare_report
from streams.evaluation.compare.compare import Answers, QueryAnswer
from streams.evaluation.compare.conclusion import Options
from streams.evaluation.compare.process import _nearest
from streams.evaluation.judged import Judged


def test_measures_worked_out_by_hand() -> None:
    """Three queries: both relevant rows at ranks 1 and 3, one row at rank 2 of which k
    cuts it off, nothing found.
    """
    found = measures.per_query([["a", "b"], ["a"], ["a"]], [["a", "x", "b"], ["x", "a"], []], k=1)
    assert found["recall@1"].tolist() == [0.5, 0, 0]
    assert found["MRR"].tolist() == [1, 0.5, 0]
    ideal = 1 + 1 / log2(3)
    assert found["nDCG@10"] == pytest.approx([(1 + 1 / log2(4)) / ideal, 1 / log2(3), 0])


def test_ranks_count_and_names_do_not() -> None:
    """Rows are taken in the order in which they were found, whatever they are called."""
    for order in (["1", "2"], ["2", "1"]):
        assert measures.per_query([["1"]], [order], k=1)["MRR"][0] == pytest.approx(
            1 / (order.index("1") + 1)
        )


def test_nothing_found_at_all_is_zero() -> None:
    """A column without a single vector finds nothing: 0 for every query, no error."""
    found = measures.per_query([["a"], ["b"]], [[], []], k=10)
    assert all(values.tolist() == [0, 0] for values in found.values())


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 samples from a known distribution, the 95 % interval holds the true mean
    in 88 to 100 % of them.
    """
    draw = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        found = measures.estimate((draw.random(60) < 0.3).astype(float), seed)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.3 <= found.high
    assert 176 <= held <= 200


def test_one_seed_makes_one_interval() -> None:
    """The same values and seed give the same figures; no interval where there is no
    spread, or a single query.
    """
    values = np.random.default_rng(2).random(40)
    assert measures.estimate(values, 7) == measures.estimate(values, 7)
    assert measures.estimate(values, 7) != measures.estimate(values, 8)
    assert measures.estimate(np.ones(40), 7) == Estimate(1.0, None, None)
    assert measures.estimate(np.array([0.5]), 7) == Estimate(0.5, None, None)


def test_a_small_steady_gain_shows_only_when_paired() -> None:
    """B is 0.05 better on most queries: the intervals of A and B overlap, that of B - A
    leaves out 0.
    """
    draw = np.random.default_rng(3)
    a = draw.random(80) * 0.9
    b = a + 0.05 * (draw.random(80) < 0.9)
    one, other, paired = (measures.estimate(values, 0) for values in (a, b, b - a))
    assert one.high is not None
    assert other.low is not None
    assert one.high > other.low
    assert paired.sign == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 of .* is not JSON"),
        ("[1]", "line 2 of .* is not a JSON object"),
        ('{"query": " ", "relevant": [1]}', "line 2 of .* has no query"),
        ('{"query": "q"}', "line 2 of .* judges no row"),
        ('{"query": "q", "relevant": []}', "line 2 of .* judges no row"),
        ('{"query": "q", "relevant": [1.5]}', "line 2 of .* neither text nor a whole number"),
        ('{"query": "q", "relevant": [true]}', "line 2 of .* neither text nor a whole number"),
        ('{"query": "q", "relevant": ["\\u0000"]}', "line 2 of .* no row can have"),
        ('{"query": "q", "relevant": [1], "kind": 3}', "line 2 of .* kind that is not text"),
        ('{"query": "q", "relevant": [1], "kind": "all"}', "line 2 of .* stands for all"),
    ],
)
def test_a_line_that_is_no_judged_query_is_named(tmp_path: Path, line: str, said: str) -> None:
    """Whatever is wrong with a line, the message has its number."""
    file = tmp_path / "queries.jsonl"
    file.write_text('{"query": "fine", "relevant": [1]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(VectrueError, match=said):
        judged.read_queries(file)


def test_judged_queries_are_read(tmp_path: Path) -> None:
    """Keys become text, repeated ones count once, selected queries are left out, lines
    are counted as in the file.
    """
    file = tmp_path / "queries.jsonl"
    lines = [
        '{"query": "picked", "relevant": [1], "selected": true}',
        "",
        '{"query": "a\u2028b", "relevant": [2, "2", 3], "kind": "typo"}',
        '{"query": "c", "relevant": [["ko", 4]]}',
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    found = judged.read_queries(file)
    assert found.left_out == 1
    assert found.queries == (
        JudgedQuery(3, "a\u2028b", (("2",), ("3",)), "typo"),
        JudgedQuery(4, "c", (("ko", "4"),)),
    )
    file.write_text(lines[0], encoding="utf-8")
    with pytest.raises(VectrueError, match="holds no judged query"):
        judged.read_queries(file)
    with pytest.raises(VectrueError, match="cannot be read"):
        judged.read_queries(tmp_path / "none.jsonl")


def test_a_corpus_file_is_read(tmp_path: Path) -> None:
    """Blank texts are left out; a repeated id and a missing field are named with their
    line.
    """
    file = tmp_path / "corpus.jsonl"
    file.write_text('{"id": 1, "question": "one"}\n{"id": 2, "question": " "}\n', encoding="utf-8")
    assert judged.read_corpus(file, "question") == {("1",): "one"}
    with pytest.raises(VectrueError, match=r"line 1 of .* no text in its field 'text'"):
        judged.read_corpus(file, "text")
    file.write_text('{"id": 1, "text": "one"}\n{"id": "1", "text": "two"}\n', encoding="utf-8")
    with pytest.raises(VectrueError, match=r"line 2 of .* repeats the id 1"):
        judged.read_corpus(file, "text")


def test_a_judged_id_without_a_row_is_named() -> None:
    """The first such id and its line, and how many there are."""
    queries = (JudgedQuery(1, "a", (("1",),)), JudgedQuery(5, "b", (("2",), ("9",), ("8",))))
    with pytest.raises(
        VectrueError, match=r"line 5 of q judges id 9 .* no text in t, nor have 1 more"
    ):
        compare.require_rows(Judged(Path("q"), queries, 0), [("9",), ("8",)], "t")
    compare.require_rows(Judged(Path("q"), queries, 0), [], "t")


def test_the_nearest_are_exact_and_the_first_of_equals_comes_first() -> None:
    """Against sorting everything, with many equal values and with fewer rows than are
    asked for.
    """
    draw = np.random.default_rng(4)
    for rows, most in ((500, 100), (100, 100), (7, 100)):
        similarity = draw.integers(0, 20, rows).astype(np.float32)
        assert _nearest(similarity, most) == np.argsort(-similarity, kind="stable")[:most].tolist()


def test_a_models_name_may_say_its_dimensions(tmp_path: Path) -> None:
    """Only the stand-in takes any; e5's own are known; what belongs to the configured
    model stays with it.
    """
    base = ModelSettings(name="lexical", dimensions=64, threads=2, revision="abc")
    assert by_name.named("lexical", base).dimensions == 64
    assert by_name.named("lexical:256", base) == base.model_copy(update={"dimensions": 256})
    e5 = by_name.named("multilingual-e5-small", base)
    assert (e5.dimensions, e5.threads, e5.revision) == (384, 2, None)
    with pytest.raises(ModelUnavailable, match="there is no folder"):
        by_name.named(str(tmp_path / "none"), base)


def test_a_model_that_is_not_here_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command fetches the model that was named, which need not be the configured
    one.
    """
    monkeypatch.setattr("connectors.models.files.hub._cached", lambda *_: None)
    for name in ("BAAI/bge-m3", "BAAI/bge-m3:1024"):
        with pytest.raises(ModelUnavailable, match="vectrue model pull BAAI/bge-m3"):
            by_name.named(name, ModelSettings())


class Canned:
    """A side that always finds the same rows."""

    def __init__(self, name: str, turns: list[str], found: dict[str, Sequence[str]]) -> None:
        self.asked: list[str] = []
        self._name, self._turns, self._found = name, turns, found

    def ask(self, text: str, most: int) -> QueryAnswer:
        self.asked.append(text)
        self._turns.append(self._name)
        rows: list[tuple[Key, str]] = [((key,), f"text {key}") for key in self._found[text][:most]]
        return QueryAnswer(0.002, {"exact": 0.001}, {"exact": rows})


def side(name: str, answers: Answers) -> Side:
    return Side(name, f"{name}@1", 8, 0.1, None, 2_000_000, 3, 10.0, 3, 96, None, answers.latency())


@pytest.fixture
def compared() -> Comparison:
    """A finds two of three queries, B the other way round finds all of them; two kinds."""
    queries = tuple(
        JudgedQuery(n, f"q<{n}>", ((str(n),),), "even $\\frac$" if n % 2 == 0 else "odd")
        for n in (1, 2, 3)
    )
    turns: list[str] = []
    a = Canned("a", turns, {"q<1>": "123", "q<2>": "213", "q<3>": ""})
    b = Canned("b", turns, {"q<1>": "123", "q<2>": "213", "q<3>": "3"})
    answers = compare.ask_both((a, b), queries, MemoryClock(), lambda *_: None)
    assert a.asked == b.asked == [query.text for query in queries] * compare.ROUNDS
    assert "".join(turns[:8]) == "abbaabba"
    sides = (side("one", answers[0]), side("two", answers[1]))
    return conclusion.conclude(
        Judged(Path("q"), queries, 4),
        sides,
        answers,
        Options(10, 0),
        "3 texts",
        ["a <note>", "a\x1b[2Jb"],
    )


def test_a_comparison_is_concluded(compared: Comparison) -> None:
    """Groups, pairs, the differing query with its ranks, latencies of every answer, and
    the sentence.
    """
    assert [line.group for line in compared.quality["exact"][::3]] == [
        "all",
        "odd",
        "even $\\frac$",
    ]
    assert compared.line(measure="recall@10").difference.mean == pytest.approx(1 / 3)
    (most,) = compared.differing
    assert (most.query.line, most.a_rank, most.b_rank, most.a_first, most.b_first) == (
        3,
        None,
        1,
        None,
        "text 3",
    )
    assert compared.a.latency["exact"].total.p50 == pytest.approx(0.003)
    assert len(compared.a.latency["exact"].totals) == 9
    assert "no difference is shown by 3 queries" in compared.verdict
    assert compared.to_json()["a"]["latency"]["exact"]["measurements"] == 9


def test_the_verdict_says_who_is_better(compared: Comparison) -> None:
    """B, when the interval lies above 0; A, when it lies below."""
    line = compared.line()
    for low, high, said in (
        (0.1, 0.5, r"^B \(two\) finds more"),
        (-0.5, -0.1, r"^A \(one\) finds more"),
    ):
        moved = type(line)(
            line.group, 3, line.measure, line.a, line.b, Estimate((low + high) / 2, low, high)
        )
        other = Comparison(
            compared.a, compared.b, 3, 0, "t", 100, 0, {"exact": [moved]}, ([], []), []
        )
        assert re.search(said, other.verdict)


def test_the_page_needs_nothing_else(compared: Comparison, tmp_path: Path) -> None:
    """Every plot is inside, text is escaped, nothing but namespaces looks like an
    address, and it is the same twice.
    """
    page = compare_report.render(compared)
    assert len(re.findall(r'<img src="data:image/svg\+xml;base64,', page)) == 4
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "q&lt;3&gt;" in page
    assert "a &lt;note&gt;" in page
    assert r"a\x1b[2Jb" in page
    assert compared.verdict.replace("&", "&amp;") in page
    assert page == compare_report.render(compared)
    with pytest.raises(VectrueError, match="no folder"):
        compare_report.require(tmp_path / "none" / "report.html")


def test_latency_is_of_both_parts() -> None:
    """The total's percentiles are of the sums, not sums of the percentiles."""
    answers = Answers(embed=[0.0, 1.0], search={"exact": [1.0, 0.0]})
    assert answers.latency() == {
        "exact": Latency(
            Percentiles(0.5, 0.95), Percentiles(0.5, 0.95), Percentiles(1.0, 1.0), [1.0, 1.0]
        )
    }
