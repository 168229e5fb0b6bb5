"""A consumer group as its broker describes it: its state, its members, what each reads.

Hazard: the admin client's `describe_consumer_groups` ends the process with a failed
assertion when the connection to the coordinator drops while the request is sent
(librdkafka 2.16.0, rd_kafka_admin_coord_request; seen once in 40 random faults). So the
older request is made, which asks each broker. A group that the caller may not see is
not listed there, like one that does not exist: a caller that has to tell the two apart
asks again, for such a group alone.
"""

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka.admin import AdminClient

STATES = {
    "Stable": "stable",
    "Empty": "empty",
    "PreparingRebalance": "preparing_rebalance",
    "CompletingRebalance": "completing_rebalance",
}
"""The states that a group with a name can have, as our reports call them; a dead one
counts as none.
"""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A consumer, and the topic partitions that are assigned to it."""

    member_id: str
    client_id: str
    host: str
    partitions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A group.

    Attributes:
        state: one of `STATES`; None where no broker knows it, or lets us see it.
        members: its consumers.
    """

    state: str | None
    members: tuple[GroupMember, ...]


UNKNOWN = ConsumerGroup(None, ())


def describe(admin: AdminClient, name: str, timeout: float) -> ConsumerGroup:
    """Ask for a group.

    Args:
        admin: any.
        name: of the group.
        timeout: seconds.

    Returns:
        the group; one without state and members where it is not known.

    Raises:
        KafkaException: no broker answers.
    """
    with warnings.catch_warnings():
        # `list_groups` is deprecated for the request that the hazard is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        # its attributes are declared as None
        found: list[Any] = admin.list_groups(name, timeout=timeout)
    for group in found:
        if group.error is None and group.state in STATES:
            members = tuple(_member(member) for member in group.members)
            return ConsumerGroup(STATES[group.state], members)
    return UNKNOWN


def _member(member: Any) -> GroupMember:
    return GroupMember(
        member.id,
        member.client_id,
        host=member.client_host.lstrip("/"),
        partitions=tuple(_assigned(member.assignment)),
    )


def _assigned(assignment: bytes | None) -> Iterator[tuple[str, int]]:
    """The partitions in Kafka's ConsumerProtocolAssignment."""
    if not assignment:
        return
    # Two bytes of version, after which all versions have begun like this: a count of
    # topics, then each topic's name and its partition numbers.
    position = 2

    def read(kind: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from(kind, assignment, position)
        position += struct.calcsize(kind)
        return int(value)

    for _ in range(read(">i")):
        length = read(">h")
        topic = assignment[position : position + length].decode("utf-8")
        position += length
        for _ in range(read(">i")):
            yield topic, read(">i")
