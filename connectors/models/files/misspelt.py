"""The built-in model that a name is likely to mean which is none."""

from difflib import get_close_matches

_NAMES = {name.casefold(): name for name in ("lexical", "multilingual-e5-small", "BAAI/bge-m3")}
_NAMES["bge-m3"] = "BAAI/bge-m3"
_OWNER = "sentence-transformers/"
_ALIKE = 0.8
"""Of `lexcal` and `lexical` 0.92, of `multilingual-e5-small` and
`multilingual-e5-large` 0.86.
"""
_REAL = {"multilingual-e5-base", "multilingual-e5-large"}
"""Names of others, which are nothing misspelt."""


def meant(name: str) -> str | None:
    """The built-in name that this one is likely to mean: a letter off, without its
    owner, or a model's id.

    Args:
        name: as somebody typed it, or with the owner that a bare name is given.
    """
    bare = name.removeprefix(_OWNER).split("@", 1)[0].casefold()
    if name in _NAMES.values() or bare in _REAL:
        return None
    known = [one for one in _NAMES if ("/" in bare) <= ("/" in one)]
    found = get_close_matches(bare, known, n=1, cutoff=_ALIKE)
    return _NAMES[found[0]] if found else None
