"""Stepping back: the replay worker's share of the processor when the live worker wants
it too.

Hazards:
- Where the kernel groups processes by session (autogroup, on by default in most
  distributions), a nice value counts within one session only, and whoever starts a
  worker (the supervisor, systemd) gives it a session of its own. The group has a nice
  value too (`man 7 sched`): it is set where the session is this process's own, since it
  is shared by all in it. The session that the machine or container began with may have
  no group: the file is there and empty.
- Between two cgroups with a CPU controller neither counts: there the weights do
  (CPUWeight, requests of a container).
"""

import os
from pathlib import Path

import structlog

log = structlog.get_logger()

_AUTOGROUP = Path("/proc/self/autogroup")


def step_back(increment: int) -> None:
    """Add to the nice value of this process, and give its session's group the same
    where it leads the session.
    """
    nice = os.nice(increment)
    if os.getsid(0) != os.getpid() or not _has_group():
        return
    try:
        _AUTOGROUP.write_text(str(nice), encoding="ascii")
    # a container that may not, or a change too soon after another
    except OSError as error:
        log.warning(
            "the kernel did not take the nice value of the session",
            nice=nice,
            reason=error.strerror,
        )


def _has_group() -> bool:
    return _AUTOGROUP.exists() and _AUTOGROUP.read_text(encoding="ascii") != ""
