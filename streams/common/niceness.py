"""The replay worker's share of the processor, when the live worker wants it too.

Hazards:
- Where the kernel groups processes by session (autogroup, on by default in most
  distributions), a nice value counts within one session only, and the supervisor or
  systemd starts a worker in a session of its own. The group has a nice value too
  (`man 7 sched`). It is shared by all in the session, so it is set only where the
  session is this process's own.
- Between two cgroups with a CPU controller neither value counts; there the weights do
  (CPUWeight, requests of a container).
"""

import os
from pathlib import Path

import structlog

log = structlog.get_logger()

_AUTOGROUP = Path("/proc/self/autogroup")


def lower_priority(increment: int) -> None:
    """Lower the priority of this process, and of its session's group where it leads the
    session.

    Args:
        increment: added to the nice value.
    """
    nice = os.nice(increment)
    if os.getsid(0) != os.getpid() or not _has_group():
        return
    try:
        _AUTOGROUP.write_text(str(nice), encoding="ascii")
    except OSError as error:
        # A container may lack the permission, or another change was a moment ago.
        log.warning(
            "nice value of the session could not be set",
            nice=nice,
            reason=error.strerror,
        )


def _has_group() -> bool:
    # The session that the machine or container began with may have no group: the file
    # exists and is empty.
    return _AUTOGROUP.exists() and _AUTOGROUP.read_text(encoding="ascii") != ""
