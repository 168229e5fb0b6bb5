"""A row's text is the same bytes for owner, worker and counting commands, and no role's
time-out ends our work.
"""

import re
from contextlib import closing

import psycopg2
import pytest

from connectors.postgres import pins
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, planned, setup, worker_role
from tests.support.server import fill_vectors
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

CREATE = """
    CREATE TABLE public.prices (
        id bigint PRIMARY KEY, at timestamptz, day date, lasts interval, amount money,
        ratio float8, raw bytea, words text, embedding vector(64)
    )
"""
TEXT = r"""
    concat_ws(' ', at, day, lasts, amount, ratio, raw, to_tsvector(words), quote_ident(words),
        '\x41', ARRAY[words, 'NULL']::text[], words = NULL, to_char(day, 'TMMonth'))
"""
HOSTILE = {
    "TimeZone": "Asia/Seoul",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "-3",
    "bytea_output": "escape",
    "xmlbinary": "hex",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "default_text_search_config": "pg_catalog.simple",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "search_path": "nowhere",
    "statement_timeout": "2s",
    "lock_timeout": "1ms",
    "idle_session_timeout": "1s",
    "idle_in_transaction_session_timeout": "1s",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "synchronous_commit": "off",
    "exit_on_error": "on",
    "restrict_nonsystem_relation_kind": "view",
}
ELSEWHERE = (
    "Query Tuning",
    "Reporting and Logging",
    "Resource Usage",
    "Statistics",
    "Vacuuming",
    "Developer Options",
    "Write-Ahead Log",
    "Replication",
    "Connections and Authentication",
    "Error Handling",
    "Lock Management",
    "Preset Options",
    "Autovacuum",
    "File Locations",
    "Process Title",
)
"""Categories whose settings change no text; what may interrupt us among them is pinned
by name.
"""
LEFT_ALONE = {
    "application_name",
    "check_function_bodies",
    "client_min_messages",
    "createrole_self_grant",
    "default_table_access_method",
    "default_tablespace",
    "default_toast_compression",
    "escape_string_warning",
    "gin_pending_list_limit",
    "icu_validation_level",
    "local_preload_libraries",
    "synchronize_seqscans",
    "temp_tablespaces",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    # Before PostgreSQL 18 these stand among the settings of statements.
    "vacuum_failsafe_age",
    "vacuum_freeze_min_age",
    "vacuum_freeze_table_age",
    "vacuum_multixact_failsafe_age",
    "vacuum_multixact_freeze_min_age",
    "vacuum_multixact_freeze_table_age",
}
"""Settings of the other categories that are the default of objects we do not make, say
more or less, or are of one transaction.
"""


def test_one_meaning_of_a_text_whatever_a_role_has_set(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """Vectors of a worker whose role has other settings are current for the owner, for
    psql and for itself.
    """
    place = make_workplace(tables=[{"name": "public.prices", "text": TEXT}])
    place.execute(CREATE)
    place.execute(
        "INSERT INTO prices (id, at, day, lasts, amount, ratio, raw, words) VALUES "
        "(1, '2026-03-29 01:30+00', '2026-02-01', '1 day 02:03', 1234.5, 0.1::float8 + 0.2, "
        "'\\xdeadbeef', 'running')"
    )
    settings = as_role(place, role)
    setup(settings)
    for name, value in HOSTILE.items():
        place.execute(f'ALTER ROLE "{role}" SET {name} = %s', (value,))
    fill_vectors(place)
    with closing(psycopg2.connect(settings.postgres.dsn)) as plain, plain.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("2s",)  # the role's settings are in force
        cursor.execute("SET restrict_nonsystem_relation_kind = ''")
        cursor.execute("SELECT current FROM vectrue.coverage")
        assert cursor.fetchone() == (1,)
    assert place.coverage("public.prices")["current"] == 1
    assert "1 rows are current or blank, but no live worker" in place.vectrue("status").stdout
    assert setup(settings).changed == ()


def test_a_function_of_the_owners_search_path_is_found_by_everyone(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """`init` records the path, lets the worker use the schema and call the function; or
    says which right is missing.
    """
    place = make_workplace(tables=[{"name": "public.posts", "text": "clean(title)"}])
    place.execute("CREATE TABLE posts (id bigint PRIMARY KEY, title text, embedding vector(64))")
    place.execute("INSERT INTO posts VALUES (1, ' a ')")
    place.execute(
        "CREATE SCHEMA app; CREATE FUNCTION app.clean(text) RETURNS text LANGUAGE sql IMMUTABLE "
        "AS 'SELECT btrim($1)'; "
        "REVOKE ALL ON FUNCTION app.clean FROM PUBLIC"
    )
    settings = as_role(place, role)
    owner, database = place.value("SELECT current_user"), place.value("SELECT current_database()")
    place.execute(f'ALTER ROLE "{owner}" IN DATABASE "{database}" SET search_path = app, public')
    script = place.vectrue("init", "--print-sql").stdout
    assert f'GRANT EXECUTE ON FUNCTION app.clean(text) TO "{role}"' in script.replace(
        f"TO {role}", f'TO "{role}"'
    )
    setup(settings)
    fill_vectors(place)
    assert "1 rows are current or blank, but no live worker" in place.vectrue("status").stdout
    assert place.execute("SELECT search_path FROM vectrue.installations") == [
        ("app, public, pg_temp",)
    ]
    place.execute(f'REVOKE USAGE ON SCHEMA app FROM "{role}"')
    session = Session(settings.postgres.dsn, role="test", prefix=settings.kafka.topic_prefix)
    with closing(session), pytest.raises(ConfigurationError) as refused:
        session.rows("SELECT * FROM vectrue.coverage")
    assert len(str(refused.value)) < 200  # not the whole query
    told = place.vectrue("doctor", check=False).stdout
    assert re.search(r"rights.*use the schemas app", " ".join(told.split()))


def test_a_function_that_the_worker_cannot_be_let_call_is_named(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """`init` refuses with the statement for its owner, and changes nothing."""
    place = make_workplace(tables=[{"name": "public.posts", "text": "secret(title)"}])
    admin = place.settings.postgres.dsn
    place.execute(f'GRANT ALL ON DATABASE "{place.value("SELECT current_database()")}" TO "{role}"')
    place.execute(
        "CREATE TABLE posts (id bigint PRIMARY KEY, title text, embedding vector(64)); "
        "CREATE FUNCTION secret(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'; "
        f'REVOKE ALL ON FUNCTION secret FROM PUBLIC; GRANT EXECUTE ON FUNCTION secret TO "{role}"; '
        f'ALTER TABLE posts OWNER TO "{role}"; ALTER ROLE "{role}" REPLICATION'
    )
    with worker_role(admin) as other:
        base = admin.split("@", 1)[1]
        settings = place.with_settings(
            postgres={
                "dsn": f"postgresql://{other}:pw@{base}",
                "admin_dsn": f"postgresql://{role}:pw@{base}",
            }
        )
        with pytest.raises(
            ConfigurationError,
            match=rf"role {other} may not call public.secret\(text\).*GRANT EXECUTE",
        ):
            planned(settings)


def test_a_short_statement_timeout_of_the_role_ends_nothing(
    role: str, make_workplace: MakeWorkplace
) -> None:
    """Counting, checking and planning over a whole table take as long as they take; a
    search has limits of its own.
    """
    place = make_workplace(tables=[{"name": "public.posts", "text": "slow(title)"}])
    place.execute("CREATE TABLE posts (id bigint PRIMARY KEY, title text, embedding vector(64))")
    place.execute("INSERT INTO posts SELECT i, 'row ' || i FROM generate_series(1, 30) AS i")
    place.execute(
        "CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.01); RETURN $1; END $$"
    )
    setup(as_role(place, role))
    place.execute(f'ALTER ROLE "{role}" SET statement_timeout = %s', ("150ms",))
    fill_vectors(place)
    for command in (["status"], ["verify"], ["replay", "plan"], ["search", "row 7"]):
        done = place.vectrue(*command)
        assert "statement timeout" not in done.stdout + done.stderr
    assert "row 7" in done.stdout


def test_every_setting_that_a_user_can_change_was_judged(ready: Workplace) -> None:
    """A new release of PostgreSQL cannot bring one that changes texts unseen: it is
    pinned, or listed as harmless.
    """
    lines = ready.execute(
        "SELECT name, category FROM pg_settings WHERE context = 'user' AND name NOT LIKE '%%.%%'"
    )
    found = {name for name, category in lines if not category.startswith(ELSEWHERE)}
    known = {*pins.PINNED, *pins.LOCALE, pins.PATH, "client_encoding", *LEFT_ALONE}
    assert found - known == set()
    absent = {name.lower() for name in pins.PINNED} - {name.lower() for name, _ in lines}
    ((version,),) = ready.execute("SELECT current_setting('server_version_num')::int")
    assert absent == ({"transaction_timeout"} if version < 170_000 else set())


def test_a_database_that_is_not_utf8_is_refused(make_workplace: MakeWorkplace) -> None:
    """Before anything is changed, in one sentence; a single row of it may be unreadable
    as UTF8.
    """
    place = make_workplace()
    other = f"{place.value('SELECT current_database()')}_ascii"
    place.execute(
        f"CREATE DATABASE {other} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE "
        "template0"
    )
    try:
        settings = place.with_settings(
            postgres={"dsn": place.settings.postgres.dsn.rsplit("/", 1)[0] + f"/{other}"}
        )
        with pytest.raises(ConfigurationError, match=rf"database {other} is in SQL_ASCII"):
            planned(settings)
    finally:
        place.execute(f"DROP DATABASE {other} WITH (FORCE)")
