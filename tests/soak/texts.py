"""The texts of the load: short ones of a few words, some alike, and very long ones."""

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
)
_LONG = 200_000


def words(random: Random) -> str:
    """A text; one in twenty is the same as many others."""
    if random.random() < 0.05:
        return "the same text again"
    return f"{' '.join(random.choices(_WORDS, k=random.randrange(3, 25)))} {random.getrandbits(40):x}"


def long_words(random: Random) -> str:
    """A text of 200,000 characters."""
    return (words(random) + " ") * (_LONG // 60)
