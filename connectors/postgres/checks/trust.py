"""Whose code would run with whose rights.

A superuser runs nothing that a role with fewer rights has made.

Hazard: a function runs with the rights of the role that calls it, and one that is called
as another role by SET ROLE takes the rights of the session back with RESET ROLE. So
`init` counts and evaluates in a connection that has logged in as the workers' role,
which runs such functions all day.
"""

from typing import Any

from psycopg2.extensions import connection as Connection

from connectors.postgres import pins, queries
from connectors.postgres.session import Session, limit_locks
from schemas.errors import ConfigurationError
from schemas.settings.reading import Settings

SEPARATE = (
    "name a role of its own for the workers in postgres.dsn, and this one in postgres.admin_dsn"
)


def guard(connection: Connection) -> None:
    """Set the search path so that names mean the server's own.

    As a superuser, refuse a schema vectrue that is not a superuser's.

    Raises:
        ConfigurationError: another role owns it.
        psycopg2.Error: the server does not answer.
    """
    pins.guard(connection)
    if connection.info.parameter_status("is_superuser") != "on":
        return
    # The owner could have put code there that now runs as the superuser.
    with connection.cursor() as cursor:
        cursor.execute(queries.text("strange_owner"))
        found = cursor.fetchall()
    for what, owner in found:
        raise ConfigurationError(
            f"{what} belongs to role {owner}, so what is in the schema vectrue would run with "
            f"the rights of the superuser {connection.info.user}",
            fix=(
                f"name {owner} in postgres.admin_dsn; or look at what is there, and make a "
                "superuser its owner"
            ),
        )


class Reader:
    """Reads rows as the workers do, in a connection of its own, opened when needed."""

    def __init__(self, settings: Settings, asking: Session, role: str) -> None:
        """Remember how to connect.

        Args:
            settings: postgres.dsn leads there.
            asking: the session of `init`, which asks what that role is.
            role: of postgres.dsn.
        """
        self._asking = asking
        self._role = role
        self._session = Session(
            settings.postgres.dsn,
            role="init reader",
            prefix=settings.kafka.topic_prefix,
            setup=limit_locks,
        )

    def session(self) -> Session:
        """The connection.

        Raises:
            ConfigurationError: the role may not connect, or is a superuser where others
                have functions.
            TransientError: Postgres does not answer.
        """
        query = queries.text("function_of_others")
        for function, owner in self._asking.rows(query, {"role": self._role}):
            raise ConfigurationError(
                f"{self._role} is a superuser and runs nothing that others have made, and "
                f"{function} belongs to role {owner}",
                fix=SEPARATE,
            )
        return self._session

    def value(self, query: Any) -> Any:
        """The single value that a query returns.

        Raises:
            as `session`, and what the query may raise.
        """
        return self.session().rows(query)[0][0]

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
