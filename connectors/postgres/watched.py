"""What is configured, compared with what is there, all the time and not at `init` alone."""

from connectors.postgres.session import Session
from schemas.settings import Settings
from schemas.witness import Difference


def differences(session: Session, settings: Settings) -> list[Difference]:  # noqa: ARG001 - compared from the next commits on
    """Everything configured that is not what is there.

    Raises:
        TransientError: Postgres does not answer.
    """
    return []
