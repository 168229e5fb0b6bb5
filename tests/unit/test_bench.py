"""What the benchmarks rest on: the judge of a migration, and where figures are written."""

from pathlib import Path

import numpy as np

from connectors.models.lexical import LexicalEmbedder
from schemas.search import Hit
from schemas.sections import ModelSettings
from tests.bench import judge
from tests.bench.clients import Asked
from tests.support import figures

TEXTS = ["what does an index cost", "an index on a column costs writes", "what a lock on a table costs"]
MODELS = {str(n): LexicalEmbedder(ModelSettings(name="lexical", dimensions=n)) for n in (768, 1024)}


def asked(similarities: list[float], *, edited: bool = False) -> Asked:
    """A search for the first text that found all of them, as near as this; rows with an odd key are edited."""
    found = enumerate(zip(TEXTS, similarities, strict=True))
    hits = [
        Hit("public.questions", (str(2 * number + edited),), text, near, None, None, True)
        for number, (text, near) in found
    ]
    return Asked("swap", 0.0, 0.1, "questions", TEXTS[0], hits)


def similarities(query: str, rows: str) -> list[float]:
    """By a model for the query and one for the rows, both cut to the shorter vector, as a mixed-up search would be."""
    one, other = (MODELS[name].encode_documents(TEXTS)[:, :768] for name in (query, rows))
    return [float(value) for value in np.asarray(other @ one[0])]


def test_a_search_is_known_by_the_model_that_answered_it() -> None:
    """Similarities of one model are that model's; those of two at once are nobody's, and no row is found."""
    old, mixed = judge.served([asked(similarities("768", "768")), asked(similarities("1024", "768"))], MODELS)
    assert (old.model, old.first) == ("768", True)
    assert (mixed.model, mixed.first) == ("neither", False)
    (untold,) = judge.served([asked(similarities("1024", "768"), edited=True)], MODELS)
    assert untold.model == "unknown"


def test_figures_take_the_place_of_the_last_ones(tmp_path: Path) -> None:
    """A document keeps all that is not between the two marks of this table; another file becomes the table."""
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- figures: begin a -->\nold\n<!-- figures: end a -->\nbelow\n", encoding="utf-8")
    for _ in range(2):
        figures.put(str(page), "a", figures.markdown(("figure", "value"), [("  lost", 0)]))
        kept = page.read_text(encoding="utf-8")
        assert kept.startswith("above\n<!-- figures: begin a -->\n\n| figure | value |\n|---|---|\n| lost | 0 |\n")
        assert kept.endswith("\n<!-- figures: end a -->\nbelow\n")
        assert "old" not in kept
    other = tmp_path / "other.md"
    figures.put(str(other), "a", "text\n")
    assert other.read_text(encoding="utf-8") == "text\n"
