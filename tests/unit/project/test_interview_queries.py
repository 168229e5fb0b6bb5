"""The judged queries of the interview example: what `vectrue compare` measures with is
itself in order.
"""

from collections import Counter
from typing import Any

from examples.interview.overlap import shared
from streams.operations.interview import load as interview

QUERIES: list[dict[str, Any]] = interview.read_queries()
QUESTIONS = {int(str(line["id"])): str(line["question"]) for line in interview.read_questions()}


def test_every_judgement_names_a_question() -> None:
    """At least 110 queries that no model selected, each once, each with ids that exist."""
    assert sum(not line.get("selected") for line in QUERIES) >= 110
    assert max(Counter(line["query"] for line in QUERIES).values()) == 1
    for line in QUERIES:
        assert line["query"].strip()
        assert line["relevant"]
        assert set(line["relevant"]) <= QUESTIONS.keys(), line["query"]


def test_a_paraphrase_shares_no_content_word() -> None:
    """A query of kind paraphrase has no content word of any question that it looks for;
    at least 40 are unselected.
    """
    paraphrases = [line for line in QUERIES if line["kind"] == "paraphrase"]
    assert sum(not line.get("selected") for line in paraphrases) >= 40
    for line in paraphrases:
        for key in line["relevant"]:
            assert not shared(line["query"], QUESTIONS[key]), line["query"]


def test_the_selected_ones_are_marked() -> None:
    """The 27 that were kept because a model finds them stand first, are marked, and no
    other is.
    """
    assert [bool(line.get("selected")) for line in QUERIES] == [True] * 27 + [False] * (
        len(QUERIES) - 27
    )
