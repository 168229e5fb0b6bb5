"""Rights in Kafka, asked for and granted.

Hazard: a consumer that may not use its group neither fails nor reads: it retries for
ever, without a message. So a worker asks the broker for its rights before it consumes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # these are exported without saying so
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from connectors.kafka import errors
from connectors.kafka.rights import Right
from schemas.errors import TransientError, VectrueError

_ANSWER_SECONDS = 10.0
# What a request about one topic or group is refused with. CLUSTER_AUTHORIZATION_FAILED
# is about the whole cluster, and says nothing about the one.
_DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
_UNKNOWN = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND}

_Allowed = dict[tuple[str, str], set[AclOperation] | None]
"""What is allowed on a topic or group, by resource and name; None: not known."""


def lacking(admin: AdminClient, rights: Sequence[Right], topics: Sequence[str]) -> list[Right]:
    """Those of the rights that the connected user does not have.

    CREATE is not asked for. A broker without access control allows everything; one that
    does not tell (before 2.3) is taken to.

    Args:
        admin: connected as the user.
        rights: what is needed.
        topics: for a right on a prefix, the topics that it is needed for; those that do
            not exist are left out.

    Raises:
        TransientError: the broker does not answer.
    """
    allowed = _allowed_topics(admin, _topics_of(rights, topics))
    allowed.update(_allowed_groups(admin, _groups_of(rights)))
    return [right for right in rights if _is_lacking(right, topics, allowed)]


def allow(admin: AdminClient, users: Mapping[str, Sequence[Right]]) -> None:
    """Grant rights; what is granted already stays.

    Raises:
        VectrueError: the broker refuses.
    """
    bindings: list[AclBinding] = []
    for user, rights in users.items():
        for right in rights:
            bindings.append(_binding(user, right))
    for future in admin.create_acls(bindings).values():
        try:
            future.result(_ANSWER_SECONDS)
        except KafkaException as error:
            why = errors.reason(error.args[0])
            raise VectrueError(
                f"Kafka did not grant the rights ({why})",
                fix="connect as a user that may change ACLs",
            ) from error


def _is_lacking(right: Right, topics: Sequence[str], allowed: _Allowed) -> bool:
    if right.operation == "CREATE":
        return False
    operation = getattr(AclOperation, right.operation)
    for name in _named(right, topics):
        known = allowed.get((right.resource, name))
        if known is not None and operation not in known:
            return True
    return False


def _named(right: Right, topics: Sequence[str]) -> list[str]:
    """The topics or groups that a right is about."""
    if right.prefixed:
        return [topic for topic in topics if topic.startswith(right.name)]
    return [right.name]


def _binding(user: str, right: Right) -> Any:
    is_topic = right.resource == "topic"
    kind = ResourceType.TOPIC if is_topic else ResourceType.GROUP
    pattern = ResourcePatternType.LITERAL
    if right.prefixed:
        pattern = ResourcePatternType.PREFIXED
    return AclBinding(
        restype=kind,
        name=right.name,
        resource_pattern_type=pattern,
        principal=f"User:{user}",
        host="*",
        operation=getattr(AclOperation, right.operation),
        permission_type=AclPermissionType.ALLOW,
    )


def _topics_of(rights: Sequence[Right], topics: Sequence[str]) -> list[str]:
    """The topics that the rights are about, each once, in order of their names."""
    found: set[str] = set()
    for right in rights:
        if right.resource == "topic":
            found.update(_named(right, topics))
    return sorted(found)


def _groups_of(rights: Sequence[Right]) -> list[str]:
    groups: list[str] = []
    for right in rights:
        if right.resource == "group":
            groups += _named(right, ())
    return groups


def _allowed_topics(admin: AdminClient, names: Sequence[str]) -> _Allowed:
    if not names:
        return {}
    futures = admin.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=_ANSWER_SECONDS,
    )
    return _allowed("topic", futures)


def _allowed_groups(admin: AdminClient, names: Sequence[str]) -> _Allowed:
    if not names:
        return {}
    futures = admin.describe_consumer_groups(
        list(names), include_authorized_operations=True, request_timeout=_ANSWER_SECONDS
    )
    return _allowed("group", futures)


def _allowed(resource: str, futures: Mapping[str, Any]) -> _Allowed:
    return {(resource, name): _operations(future) for name, future in futures.items()}


def _operations(future: Any) -> set[AclOperation] | None:
    """What is allowed on a topic or group.

    Returns:
        none where even to describe it is refused; None where it is not known.
    """
    try:
        found = future.result().authorized_operations
    except KafkaException as error:
        problem = error.args[0]
        if problem.code() in _DENIED:
            return set()
        if problem.code() in _UNKNOWN:
            return None
        raise TransientError(
            f"Kafka did not tell which rights there are ({errors.reason(problem)})",
            fix="check kafka.bootstrap_servers and that the broker runs",
        ) from error
    return set(found) if found else None
