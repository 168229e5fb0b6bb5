"""What differs between two readings of the settings: named, with what to do, and never
a value.
"""

from typing import Any

import pytest

from schemas.settings.change import advice, changes, is_model_alone
from schemas.settings.reading import Settings

POSTS = {"name": "public.posts", "text": "title"}
NOTES = {"name": "app.notes", "text": "note"}
SECRET = "postgresql://worker:hunter2@localhost/app"


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"tables": [POSTS], **sections})


INIT = "vectrue init, after which the workers restart with it"
CASES: list[tuple[dict[str, Any], list[str], str]] = [
    ({"tables": [POSTS, NOTES]}, ["table app.notes was added"], INIT),
    ({"tables": [{**POSTS, "text": "body"}]}, ["text of public.posts"], INIT),
    ({"model": {"name": "other"}}, ["model.name"], INIT),
    (
        {"tables": [NOTES]},
        ["table app.notes was added", "table public.posts was removed"],
        "vectrue init, then start the workers again",
    ),
    (
        {"tables": [POSTS, {**POSTS, "column": "second"}]},
        [
            "table public.posts.embedding was added",
            "table public.posts.second was added",
            "table public.posts was removed",
        ],
        "vectrue init, then start the workers again",
    ),
    (
        {"live": {"linger_ms": 9.0}, "log": {"level": "debug"}},
        ["live.linger_ms", "log.level"],
        "start the workers again",
    ),
    ({"postgres": {"dsn": SECRET}}, ["postgres.dsn"], "vectrue init, then start the workers again"),
    (
        {"kafka": {"security": {"sasl.password": "hunter2"}}},
        ["kafka.security"],
        "vectrue init, then start the workers again",
    ),
]


@pytest.mark.parametrize(("sections", "names", "fix"), CASES)
def test_a_change_is_named_with_what_to_do(
    sections: dict[str, Any], names: list[str], fix: str
) -> None:
    """By the setting's name, each once; a value, which may be a secret, is never part
    of it.
    """
    found = changes(settings(), settings(**sections))
    assert (found, advice(found)) == (names, fix)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"score": {"where": "score > 1"}},
        {"serve": {"port": 9000}},
        {"postgres": {"admin_dsn": SECRET}},
    ],
)
def test_what_is_no_business_of_workers_is_no_change(sections: dict[str, Any]) -> None:
    """Settings of other programs, and of `init`'s own connection."""
    assert changes(settings(), settings(**sections)) == []


def test_the_model_alone_is_told_apart() -> None:
    """`migrate finish` asks for it while a migration is under way."""
    assert is_model_alone(changes(settings(), settings(model={"name": "other", "dimensions": 7})))
    assert not is_model_alone([])
    assert not is_model_alone(
        changes(settings(), settings(model={"name": "other"}, live={"linger_ms": 9.0}))
    )
