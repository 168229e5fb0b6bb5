"""The screens of the commands: `python -m tests.support.screens` writes tests/unit/screens
again, for reading.

Each page is drawn from fixed data at 80 and at 120 columns, with `-o wide` at 80 where that
shows more, and into a pipe.

    names.py      the names, models and times that all pages show
    drawing.py    how a page is drawn
    pages.py      every page by its name
    replay.py     pages of `vectrue replay`
    migration.py  pages of `vectrue migrate`
"""
