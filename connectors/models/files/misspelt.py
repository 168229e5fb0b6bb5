"""Guess which built-in model a misspelt name means."""

from difflib import get_close_matches

_NAMES = {
    "lexical": "lexical",
    "multilingual-e5-small": "multilingual-e5-small",
    "baai/bge-m3": "BAAI/bge-m3",
    "bge-m3": "BAAI/bge-m3",
}
_OWNER = "sentence-transformers/"
_ALIKE = 0.8
"""Of `lexcal` and `lexical` 0.92, of `multilingual-e5-small` and
`multilingual-e5-large` 0.86.
"""
_REAL = {"multilingual-e5-base", "multilingual-e5-large"}
"""Existing models with a similar name."""


def meant(name: str) -> str | None:
    """Return the built-in name that this one is likely to mean, if any: one letter off,
    without its owner, or a model's id.

    Args:
        name: as typed, or with the owner that a bare name is given.
    """
    bare = name.removeprefix(_OWNER).split("@", 1)[0].casefold()
    if name in _NAMES.values() or bare in _REAL:
        return None
    # A name with an owner is compared with names that have one too.
    known = [one for one in _NAMES if "/" in one or "/" not in bare]
    found = get_close_matches(bare, known, n=1, cutoff=_ALIKE)
    return _NAMES[found[0]] if found else None
