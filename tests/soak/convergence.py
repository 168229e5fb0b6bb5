"""How far the pipeline has come: whether everything up to a log position is handled, and
whether all groups are still at the end.
"""

from collections.abc import Iterator
from functools import partial

from schemas.settings.reading import Settings
from tests.soak.checker import AWAY, Offsets, Rows
from tests.soak.fleet import Fleet
from tests.support.waiting import until

CONVERGE_SECONDS = 300.0
"""Much longer than it takes, also on a busy machine: the verdict is about truth, and the time
is only a figure.
"""


class Convergence:
    """Asks capture and the consumer groups, and keeps the last answer."""

    def __init__(
        self, rows: Rows, offsets: Offsets, fleet: Fleet, settings: Settings, live_topics: list[str]
    ) -> None:
        self._rows = rows
        self._offsets = offsets
        self._fleet = fleet
        self._settings = settings
        self._live_topics = live_topics
        self.reached = "nothing"

    def position(self) -> str:
        """The log position of the server, as soon as it answers."""

        def read() -> str | None:
            try:
                return str(self._rows.ask("SELECT pg_current_wal_lsn()")[0][0])
            except AWAY:
                return None

        return str(until(read, timeout=30, what="Postgres to answer"))

    def is_handled(self, position: str) -> bool:
        """Whether capture has sent everything before the position, and all of it is
        committed.
        """
        try:
            slot = (
                "SELECT confirmed_flush_lsn >= %s::pg_lsn, confirmed_flush_lsn::text FROM "
                "pg_replication_slots"
            )
            sent, flushed = self._rows.ask(
                f"{slot} WHERE slot_name = %s", (position, self._settings.slot)
            )[0]
            if not sent:
                self.reached = f"capture is at {flushed}, the changes end at {position}"
                return False
            lag = self._offsets.lag(self._settings.live_group, self._live_topics)
            self.reached = f"captured, live lag {lag}"
        except AWAY as error:
            self.reached = f"a service is away ({error})"
            return False
        return lag == 0

    def still(self) -> Iterator[str]:
        """Wait until no group has lag and every worker that is alive is a member of its
        group (I9); yields the violations.
        """
        groups = {
            "live": (self._settings.live_group, self._live_topics),
            "replay": (self._settings.replay_group, [self._settings.replay_topic]),
        }
        for role, (group, topics) in groups.items():
            try:
                until(
                    partial(self._is_still, role, group, topics),
                    timeout=CONVERGE_SECONDS,
                    what="a still group",
                )
            except AssertionError:
                yield f"I9: group {group} at the end: {self.reached}"

    def _is_still(self, role: str, group: str, topics: list[str]) -> bool:
        alive = len(self._fleet.running(role))
        try:
            lag, members = self._offsets.lag(group, topics), self._offsets.members(group)
        except AWAY as error:
            self.reached = f"the broker does not say ({error})"
            return False
        self.reached = f"lag {lag}, {alive} workers alive, {members} members"
        return lag == 0 and alive == members == self._fleet.wanted[role]
