"""What the benchmarks rest on: the judge of a migration, what figures are made of, and
where they are written.
"""

import json
from pathlib import Path

import numpy as np

from connectors.models.lexical import LexicalEmbedder
from schemas.reports.search import Hit
from schemas.settings.sections import ModelSettings
from tests.bench import judge, search, serve
from tests.bench.clients import Asked
from tests.support import figures

TEXTS = [
    "what does an index cost",
    "an index on a column costs writes",
    "what a lock on a table costs",
]
MODELS = {str(n): LexicalEmbedder(ModelSettings(name="lexical", dimensions=n)) for n in (768, 1024)}


def asked(similarities: list[float], *, edited: bool = False) -> Asked:
    """A search for the first text that found all of them, as near as this; rows with an
    odd key are edited.
    """
    found = enumerate(zip(TEXTS, similarities, strict=True))
    hits = [
        Hit("public.questions", (str(2 * number + edited),), text, near, None, None, True)
        for number, (text, near) in found
    ]
    return Asked("swap", 0.0, 0.1, "questions", TEXTS[0], hits)


def similarities(query: str, rows: str) -> list[float]:
    """By a model for the query and one for the rows, both cut to the shorter vector, as
    a mixed-up search would be.
    """
    one, other = (MODELS[name].encode_documents(TEXTS)[:, :768] for name in (query, rows))
    return [float(value) for value in np.asarray(other @ one[0])]


def test_a_search_is_known_by_the_model_that_answered_it() -> None:
    """Similarities of one model are that model's; those of two at once are nobody's,
    and no row is found.
    """
    old, mixed = judge.served(
        [asked(similarities("768", "768")), asked(similarities("1024", "768"))], MODELS
    )
    assert (old.model, old.first) == ("768", True)
    assert (mixed.model, mixed.first) == ("neither", False)
    (untold,) = judge.served([asked(similarities("1024", "768"), edited=True)], MODELS)
    assert untold.model == "unknown"


def test_figures_take_the_place_of_the_last_ones(tmp_path: Path) -> None:
    """A document keeps all that is not between the two marks of this table; another
    file becomes the table.
    """
    page = tmp_path / "page.md"
    page.write_text(
        "above\n<!-- figures: begin a -->\nold\n<!-- figures: end a -->\nbelow\n", encoding="utf-8"
    )
    for _ in range(2):
        figures.put(str(page), "a", figures.markdown(("figure", "value"), [("  lost", 0)]))
        kept = page.read_text(encoding="utf-8")
        assert kept.startswith(
            "above\n<!-- figures: begin a -->\n\n| figure | value |\n|---|---|\n| lost | 0 |\n"
        )
        assert kept.endswith("\n<!-- figures: end a -->\nbelow\n")
        assert "old" not in kept
    other = tmp_path / "other.md"
    figures.put(str(other), "a", "text\n")
    assert other.read_text(encoding="utf-8") == "text\n"


def hits(*similarities: float) -> list[Hit]:
    """Rows found, as near as this."""
    return [
        Hit("public.questions", (str(n),), "", near, None, None, True)
        for n, near in enumerate(similarities)
    ]


def test_recall_counts_rows_that_are_as_near_as_the_last_true_one() -> None:
    """Another row of the same similarity is no miss, one that is less near is; too few
    are misses as well.
    """
    truth = hits(0.9, 0.8, 0.5, 0.5)
    assert search.recall(truth, truth) == 1
    assert search.recall(hits(0.9, 0.8, 0.5, 0.5000001), truth) == 1
    assert search.recall(hits(0.9, 0.8, 0.5, 0.4), truth) == 0.75
    assert search.recall(hits(0.9), truth) == 0.25


def test_queries_are_some_words_of_a_row() -> None:
    """Three fifths of its words, without its number; none is a row, and the same come
    again.
    """
    texts = [f"{' '.join(f'w{row}-{word}' for word in range(10))} {row}" for row in range(20)]
    asked = search.queries(texts, 50)
    assert asked == search.queries(texts, 50)
    for key, text in asked:
        row = int(key) - 1
        assert len(text.split()) == 6
        assert set(text.split()) < set(texts[row].split()[:-1])
        assert text not in texts


def test_figures_of_searches_are_told_in_full() -> None:
    """Each way has its line and its JSON, with quantiles and the mean of the recall."""
    measured = search.Measured(
        [1.0] * 4, [10.0, 20.0, 30.0, 40.0], [11.0, 21.0, 31.0, 41.0], [1.0, 0.5, 1.0, 0.5], 4, 3
    )
    report = search.Report(
        "lexical@1", 1000, 4, 1.0, 2.0, 5_000_000, 8_000_000, "128MB", {"HNSW": measured}
    )
    assert (
        "HNSW",
        "database 30.0 / 40.0 ms, total 31.0 / 41.0 ms; recall@10 0.750; index used by 4 of 4",
    ) in (report.lines())
    told = json.loads(json.dumps(report.to_json()))["ways"]["HNSW"]
    assert (told["database_p50_ms"], told["recall"], told["own_row"]) == (30.0, 0.75, 3)
    assert "| HNSW | database" in report.markdown("command")


def test_the_ratio_of_the_load_is_that_of_the_median_rounds() -> None:
    """Requests a second of the middle rounds, not of the best; both ways and the ratio
    are in table and JSON.
    """
    ways = {
        serve.TOGETHER: serve.Measured([30.0, 90.0, 40.0], [10.0] * 160, 160, 16, [0.5, 0.6, 0.7]),
        serve.ALONE: serve.Measured([10.0, 20.0, 30.0], [20.0] * 60, 60, 60, [0.1, 0.2, 0.3]),
    }
    report = serve.Report(500, 8.0, {"model": ways})
    assert report.ratio("model") == 2.0
    lines = dict(report.lines())
    assert lines["model, requests/s together / alone"] == "2.0"
    assert "10.0 queries a pass; the clients took 0.6 cores" in str(
        lines["model, queries together"]
    )
    told = json.loads(json.dumps(report.to_json()))["models"]["model"]
    assert (told["ratio"], told["alone"]["queries_per_pass"]) == (2.0, 1.0)
