"""The pages of docs: how long they may be, and where they are found."""

import re

import pytest

from tests.support.root import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_no_page_is_long(page: str) -> None:
    """A page has at most 2,000 words, so that it is about one subject."""
    words = len((DOCS / page).read_text(encoding="utf-8").split())
    assert words <= 2000, f"docs/{page} has {words} words"


def test_the_overview_is_short() -> None:
    """The overview of the architecture has at most 1,200 words."""
    assert len((DOCS / "architecture/README.md").read_text(encoding="utf-8").split()) <= 1200


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links every other page of docs."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert set(PAGES) - set(re.findall(r"\]\(([^)#]+\.md)\)", index)) == {"README.md"}


def test_a_link_to_a_heading_leads_to_one() -> None:
    """`PAGE.md#heading` is a heading of that page."""
    lost = []
    for page in PAGES:
        text = (DOCS / page).read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([^)#]*\.md|)#([^)]+)\)", text):
            other = (DOCS / page).parent / target if target else DOCS / page
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
            }
            lost += [f"{page}: {target}#{anchor}"] * (anchor not in slugs)
    assert lost == []
