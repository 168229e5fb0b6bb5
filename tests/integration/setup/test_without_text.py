"""A text that is NULL because one of its columns is: `init`, `status` and `verify`
count such rows and say the cure.
"""

import json

import pytest

from connectors.postgres.audit import coverage, textless
from connectors.postgres.session import Session
from schemas.reports.coverage import Textless
from tests.conftest import MakeWorkplace
from tests.support.init import setup
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

OURS = "'{embedding,embedding_hash,embedding_model,embedded_at,embedding_digest}'::text[]"
WHOLE = (
    f"((to_jsonb(posts) - {OURS}) ->> 'title') || ' ' || ((to_jsonb(posts) - {OURS}) ->> 'body')"
)
ROWS = """
    INSERT INTO posts (id, title, body) VALUES
        (1, 'a title', 'a body'), (2, 'a title', NULL), (3, NULL, 'a body'), (4, NULL, NULL),
        (5, '', ''), (6, ' ', NULL), (7, 'a title', NULL)
"""


def posts(make_workplace: MakeWorkplace, text: str, columns: str = "") -> Workplace:
    """Seven rows, three of which have content in one column and NULL in the other."""
    place = make_workplace(tables=[{"name": "public.posts", "text": text}])
    place.execute(
        f"CREATE TABLE posts (id bigint PRIMARY KEY, title text, body varchar(99){columns}, "
        "embedding vector(64))"
    )
    place.execute(ROWS)
    return place


def found(place: Workplace) -> Textless:
    """What there is to say of the only column, as the workers' role sees it."""
    session = Session(
        place.settings.postgres.dsn, role="test", prefix=place.settings.kafka.topic_prefix
    )
    try:
        seen = coverage.look(session, place.settings)
        (line,), (target,) = seen.columns, seen.targets
        return textless.look(session, target, blank=line.blank, rows=line.rows)
    finally:
        session.close()


def status(place: Workplace) -> dict[str, object]:
    """The only table's figures."""
    tables = json.loads(place.vectrue("status", "-o", "json", check=False).stdout)["tables"]
    assert len(tables) == 1
    return dict(tables[0])


def test_rows_with_content_and_no_text_are_counted_and_cured(make_workplace: MakeWorkplace) -> None:
    """Everyone who says "current or blank" says how many are blank for a NULL; what
    they say to write cures it.
    """
    place = posts(make_workplace, "title || E'\\n' || body")
    said = place.vectrue("init")
    words = " ".join(f"{said.stdout} {said.stderr}".split())
    assert "3 of 7 rows of public.posts have content and no text" in words
    assert "write coalesce(title, ''), coalesce(body, '') in its place" in words
    assert "or concat_ws(' ', title, body), then `vectrue init`" in words
    assert status(place)["without_text"] == 3
    for command in ("status", "verify"):
        assert "warning: 3 of 7 rows of public.posts" in " ".join(
            place.vectrue(command, check=False).stdout.split()
        )
    assert (
        json.loads(place.vectrue("verify", "-o", "json", check=False).stdout)["tables"][0][
            "without_text"
        ]
        == 3
    )
    place.start_worker("live")
    place.start_worker("replay")
    place.vectrue("replay", "run", "--follow")
    place.wait_current("public.posts")
    told = place.vectrue("status", check=False).stdout
    assert "7 rows are current or blank; 3 of them have content and no text" in " ".join(
        told.split()
    )
    for text in (
        "coalesce(title, '') || E'\\n' || coalesce(body, '')",
        "concat_ws(' ', title, body)",
    ):
        place.with_settings(tables=[{"name": "public.posts", "text": text}])
        cured = place.vectrue("init")
        assert "content and no text" not in cured.stdout + cured.stderr
        figures = status(place)
        assert (figures["without_text"], figures["blank"]) == (0, 3)


@pytest.mark.parametrize(
    ("text", "columns", "rows", "empty"),
    [
        ("upper(title) || body", "", 3, {"title", "body"}),
        ("title", "", 0, set()),
        ("title || ' of ' || year", ", year integer", 3, {"year"}),
        ("nullif(title, 'a title') || body", "", 3, {"title", "body"}),
        (
            "CASE WHEN shown THEN coalesce(title, body) END",
            ", shown boolean DEFAULT false",
            3,
            {"title", "body"},
        ),
        (
            "CASE WHEN shown THEN coalesce(title, body) ELSE '' END",
            ", shown boolean DEFAULT false",
            0,
            set(),
        ),
        ("coalesce(title, '') || coalesce(body, '')", "", 0, set()),
        (WHOLE, "", 3, {"title", "body"}),
        ('title || "Der Text"', ', "Der Text" text', 3, {"Der Text"}),
        (
            "CASE WHEN id = 1 THEN (1 / (id - 1))::text ELSE title || body END",
            "",
            3,
            {"title", "body"},
        ),
    ],
)
def test_what_counts_as_content_without_a_text(
    make_workplace: MakeWorkplace, text: str, columns: str, rows: int, empty: set[str]
) -> None:
    """Content in one string column, another column empty, and the text NULL; not a text
    that is '', nor one column.

    A row whose text raises an error hides nothing about the others.
    """
    place = posts(make_workplace, text, columns)
    setup(place.settings)
    seen = found(place)
    assert (seen.rows, {name for name, _ in seen.empty}) == (rows, empty)
    assert (seen.sentence is None) is (rows == 0)
