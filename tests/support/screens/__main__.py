"""Write each page to its file in tests/unit/screens."""

from tests.support.screens.drawing import document
from tests.support.screens.pages import FOLDER, PAGES

FOLDER.mkdir(exist_ok=True)
for name, page in PAGES.items():
    (FOLDER / f"{name}.txt").write_text(document(page), encoding="utf-8")
