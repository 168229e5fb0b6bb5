"""Replication origins: which are ours, and which others may write to the tables.

Postgres can leave writes with any origin out of a stream (`origin=none`), but not those
of one origin. So it is asked to only while no one else uses one; otherwise the live
lane leaves out what carries a label of ours.

Hazards:
- An origin belongs to the whole server, and does not say in which database it is used.
  One that is not known counts as foreign, which costs a replay's echo and no change.
- Another installation's origins are known by the one that `init` makes beside them
  (`MARK`), not by numbers at the end of their names, which the nodes of a replication
  tool may have too.
- A session that uses a label of ours is taken for ours: the names are exact,
  `vectrue_0` to `vectrue_7`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from connectors.postgres import queries
from connectors.postgres.session import Session
from schemas.health.witness import Difference
from schemas.settings.reading import Settings

COUNT: Final = 8
"""Replication origins that `init` creates, one for each worker that writes at a time.

An origin belongs to one session; max_active_replication_origins is 10 by default, and so is
max_replication_slots, which is the limit of both before PostgreSQL 18.
"""

FILTER: Final = ("slot.stream.params", "origin=none")
"""What the connector's configuration says where all labelled writes are left out."""

MARK: Final = "vectrue"
"""End of the name of an origin that is never used.

It says that those beside it are an installation's.
"""


def labels(origin: str) -> list[str]:
    """The origins that workers write under, for `postgres.origin`."""
    return [f"{origin}_{number}" for number in range(COUNT)]


def made(origin: str) -> list[str]:
    """All that `init` makes: the labels, and the mark that other installations see."""
    return [*labels(origin), f"{origin}_{MARK}"]


def foreign(session: Session, settings: Settings) -> list[str]:
    """What else may write to the tables under an origin.

    Returns:
        each as "subscription x" or "replication origin y".

    Raises:
        TransientError: Postgres does not answer.
    """
    found = session.rows(queries.text("foreign_origins"))
    names: set[str] = set()
    for kind, name in found:
        if kind != "subscription":
            names.add(str(name))
    strange = not_ours(names, settings.postgres.origin)
    foreign: list[str] = []
    for kind, name in found:
        is_subscription = kind == "subscription"
        if is_subscription or name in strange:
            foreign.append(f"{kind} {name}")
    return foreign


def census(session: Session) -> tuple[frozenset[str], int]:
    """All origins of the server, and how many were ever made. Raises TransientError."""
    names, made_ever = session.rows(queries.text("origin_census"))[0]
    return frozenset(names), int(made_ever)


class OriginCensus:
    """Tells from one census to the next whether an origin came and went in between.

    Hazard: the count lags behind the names by up to ten seconds (PGSTAT_IDLE_INTERVAL
    of pgstat.c). So what is counted in the first `SETTLING` censuses and was not seen
    to come may have been there at the first one, and says nothing.
    """

    SETTLING: Final = 6
    """Censuses; there is one every three seconds."""

    def __init__(self) -> None:
        self._names: frozenset[str] | None = None
        self._made = 0
        self._seen = 0
        """Origins that were seen to come since `_made` was counted."""
        self._settling = 0

    def missed(self, names: frozenset[str], made_ever: int) -> bool:
        """Whether more were made than were seen to come.

        Args:
            names: of the origins that exist.
            made_ever: how many were ever made.
        """
        # A count that went back, after a crash, says nothing.
        if self._names is None or made_ever < self._made:
            self._names = names
            self._made = made_ever
            self._seen = 0
            self._settling = self.SETTLING
        self._seen += len(names - self._names)
        self._names = names
        self._settling = max(0, self._settling - 1)
        unseen = made_ever - self._made - self._seen
        if unseen <= 0:
            return False
        self._made += unseen
        return not self._settling


def not_ours(names: Iterable[str], origin: str) -> list[str]:
    """Those of a server's origins that belong to no installation of vectrue."""
    there = set(names)
    known = set(labels(origin))
    # By the mark, not by numbers: a replication tool may number its nodes, too.
    for name in there:
        base, _, end = name.rpartition("_")
        if end == MARK and base:
            known.update(made(base))
    return sorted(there - known)


def leaves_out(config: Mapping[str, str] | None) -> bool:
    """Whether a connector so configured leaves out everything that has an origin."""
    name, value = FILTER
    return config is not None and value in config.get(name, "").split(";")


def without_filter(config: Mapping[str, str]) -> dict[str, str]:
    """The configuration of a connector that passes on what has an origin."""
    name, value = FILTER
    rest: list[str] = []
    for part in config.get(name, "").split(";"):
        if part not in ("", value):
            rest.append(part)
    kept = dict(config)
    kept.pop(name, None)
    if rest:
        kept[name] = ";".join(rest)
    return kept


def left_out(others: Iterable[str], config: Mapping[str, str] | None) -> Difference | None:
    """The difference where a connector leaves out writes that are not ours.

    Args:
        others: what else may write under an origin, see `foreign`.
        config: the connector's configuration; None where there is no connector.

    Returns:
        None where it leaves out none of them.
    """
    named = list(others)
    if not named or not leaves_out(config):
        return None
    return Difference(
        "the connector leaves out everything that has a replication origin, and "
        f"{', '.join(named)} may write to the tables",
        "run a worker, which changes that within seconds, or vectrue init",
    )
