"""Decide whether two Korean sentences share a content word.

The paraphrases of ``queries.jsonl`` are searches that no keyword match can answer. This
module checks that: it strips particles and compares beginnings, so it reports a shared
word too often rather than too seldom.

Hazard: it is not a morphological analyser. It misses a word at the end of a compound
("스레드" in "멀티스레드"), so a person should read new queries too.
"""

import re

_TOKEN = re.compile(r"[0-9a-z]+|[가-힣]+")

# Particles and endings that may follow a word; the longest match is the one that goes.
_PARTICLES = sorted(
    (
        "은 는 이 가 을 를 의 에 에서 에게 께 로 으로 로서 으로서 로써 으로써 와 과 랑 이랑 도 만 "
        "까지 부터 마다 보다 처럼 조차 마저 밖에 이나 나 이란 란 이며 며 이고 고 이라 라 이라는 "
        "라는 인가 인가요 나요 은가 은가요 는가 는가요 이다 다 요 들"
    ).split(),
    key=len,
    reverse=True,
)

# Endings of "하다" and "되다" verbs; they go only when at least two syllables of a stem
# remain.
_ENDINGS = sorted(
    (
        "하다 하는 하고 하면 하며 하게 하지 하기 하려 하려면 하려는 하느라 하나 한다 했다 했던 "
        "했을 해서 해도 해야 한 할 함 해 했 되다 되는 되고 되면 되며 되지 되어 된다 됐다 됐을 된 "
        "될 됨 돼 됐 시키는 시킨 시킬"
    ).split(),
    key=len,
    reverse=True,
)

# Words that carry no subject matter: question words, dependent nouns, auxiliaries,
# interview phrasing.
STOP_WORDS = frozenset(
    (
        "무엇 무슨 뭐 어떤 어떻 어떻게 어떠한 어느 어디 왜 언제 누구 누가 얼마 몇 때 것 게 걸 건 "
        "수 등 및 적 또 또는 그 그것 이 이것 저 이를 여기서 그리고 그래서 각각 하나 두 가지 더 꼭 "
        "면 뒤 측면 관점 서로 있다 있는 있나 있을 있게 없다 없는 없이 않다 않는 않고 않게 않나 "
        "않은 않아 안 못 못한 하다 하는 하고 하면 하며 하게 하기 하지 하려 하려면 해 해서 해야 "
        "했을 한 할 되다 되는 되면 되지 되어 된 될 돼 이유 까닭 방법 예 예시 경우 상황 차이 장점 "
        "단점 장단점 설명 비교 구분 대해 대한 위해 위한 통해 관해 함께 다른 다르 다른가 같은 같이 "
        "주 주세 주세요 보 보세 보세요 말 말해 말하 이야기 싶은 생각"
    ).split()
)


def _strip(word: str, suffixes: list[str], keep: int) -> str:
    """Return ``word`` without its longest suffix of ``suffixes`` that leaves ``keep``
    syllables.
    """
    for suffix in suffixes:
        if word.endswith(suffix) and len(word) - len(suffix) >= keep:
            return word[: -len(suffix)]
    return word


def _stem(word: str) -> str:
    """Strip particles and endings until nothing changes; return "" for a word of the
    stop list.
    """
    while word not in STOP_WORDS:
        shorter = _strip(_strip(word, _PARTICLES, 1), _ENDINGS, 2)
        if shorter == word:
            return "" if word in _PARTICLES else word
        word = shorter
    return ""


def content_words(text: str) -> set[str]:
    """Return the stems of the words of ``text`` that carry meaning, lower-cased.

    The text is split at white space, at punctuation, and where Latin script meets
    Hangul.
    """
    stems = set()
    for word in _TOKEN.findall(text.lower()):
        stems.add(_stem(word))
    # What is left of a word of the stop list.
    stems.discard("")
    return stems


def shared(a: str, b: str) -> set[str]:
    """Return the content words of ``a`` that ``b`` has too, as the same word or as a
    longer or shorter form.

    Two words count as the same when they are equal, or when the shorter has at least
    two characters and the longer begins with it.
    """
    others = content_words(b)
    found = set()
    for word in content_words(a):
        if any(_same(word, other) for other in others):
            found.add(word)
    return found


def _same(a: str, b: str) -> bool:
    """Return whether two stems are equal, or one of at least two characters begins the
    other.
    """
    short, long = sorted((a, b), key=len)
    return a == b or (len(short) >= 2 and long.startswith(short))
