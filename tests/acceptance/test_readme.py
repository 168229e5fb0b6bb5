"""The documents are accurate: the README's console session, and the settings."""

from pathlib import Path

import pytest

from tests.support.console import hold
from tests.support.readme import README, SETTINGS, settings_document


def test_the_settings_document_is_that_of_the_code() -> None:
    """docs/settings.md names every setting with its default; `python -m
    tests.support.readme` renews it.
    """
    assert SETTINGS.read_text(encoding="utf-8") == settings_document()


@pytest.mark.stack
@pytest.mark.timeout(2400)
def test_the_console_session_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """Every command of the quickstart, typed into one shell in a fresh folder, prints
    what stands below it.
    """

    def patient(script: str) -> str:
        # `status` is asked right after the INSERT: a person takes longer to type it
        # than the vector takes to come.
        waited = "until vectrue status | grep -q 'are current'; do :; done; vectrue status\n"
        return script.replace("vectrue status\n", waited)

    hold([README], tmp_path, seconds=2200, edit=patient)
