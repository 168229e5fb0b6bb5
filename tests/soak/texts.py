"""The texts of the load: short ones of a few words, some alike, composed or not; very
long ones; and those that show nothing.
"""

import unicodedata
from random import Random

_WORDS = (
    "index",
    "join",
    "lock",
    "vacuum",
    "트랜잭션",
    "격리",
    "수준",
    "queue",
    "offset",
    "partition",
    "질문",
    "답변",
    "백필",
    "zero\u200bwidth",
)
_LONG = 200_000
_HUGE = 600_000
_SHOWS_NOTHING = (
    "",
    " ",
    "\n\t \r\n",
    "\u200b",
    "\u3164\u115f",
    "\ufeff\u200d\u2060",
    "\u2800\u2800",
    "\u00a0\u3000\u2028",
    "\x01\x7f\x9b",
    "\u00ad\ufe0f\u034f",
    "\U000e0041\u202e",
)
"""White space, zero widths, Hangul fillers, the empty pattern of Braille, controls,
tags and changes of direction.
"""


def words(random: Random) -> str:
    """A text; one in twenty is the same as many others, one in ten is decomposed."""
    if random.random() < 0.05:
        return "the same text again"
    text = (
        f"{' '.join(random.choices(_WORDS, k=random.randrange(3, 25)))} {random.getrandbits(40):x}"
    )
    return unicodedata.normalize("NFD", text) if random.random() < 0.1 else text


def long_words(random: Random, characters: int = _LONG) -> str:
    """A text of about 200,000 characters."""
    once = words(random) + " "
    return once * (characters // len(once))


def huge_words(random: Random) -> str:
    """A text of about 600,000 characters, or one that shows nothing for a long while,
    or for too long to count.
    """
    match random.randrange(3):
        case 0:
            return long_words(random, _HUGE)
        case 1:
            return " " * 60_000 + long_words(random)
        case _:
            return "\u3164" * 110_000 + words(random)


def nothing(random: Random) -> str:
    """A text that shows nothing."""
    return "".join(random.choices(_SHOWS_NOTHING, k=random.randrange(1, 4)))
