"""A trigger on every write of a vector, in the writer's own transaction: an embedding
of another text than the row's is noted at the moment when it lands (I4, I5), also when
a later one would cover it up.

It judges what the workers write; what the application writes is its own affair until
they come to it. A text that is another one after the UPDATE than before was changed by
a trigger of the table: workers write no texts.
"""

import sys

from tests.soak.tables import PROVENANCE, READ, VECTOR, Table, is_blank

WORKER = "soak_worker"
"""The role of the workers."""


def shown() -> str:
    """A regular expression of Postgres that finds a character that shows something,
    from the rule in Python.
    """
    ranges: list[list[int]] = []
    for code in range(1, sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000 and is_blank(chr(code)):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "[^" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]"


AUDIT = f"""
CREATE SCHEMA soak;
CREATE TABLE soak.audit (
    table_name text, what text, key text, at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION soak.audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before text; content text; what text;
BEGIN
    IF session_user <> '{WORKER}' THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT %s FROM (SELECT ($1).*) AS doc', TG_ARGV[0]) USING OLD INTO before;
    EXECUTE format('SELECT %s FROM (SELECT ($1).*) AS doc', TG_ARGV[0]) USING NEW INTO content;
    what := CASE
        WHEN NEW.embedding_hash IS NULL AND NEW.{VECTOR} IS NOT NULL THEN 'vector without hash'
        WHEN NEW.embedding_hash IS NOT NULL AND NEW.{VECTOR} IS NULL THEN 'hash without vector'
        WHEN before IS DISTINCT FROM content THEN 'text changed by a trigger'
        WHEN NEW.embedding_hash IS NULL AND left(content, {READ}) ~ '{shown()}'
            THEN 'cleared over text'
        WHEN NEW.embedding_hash IS NULL THEN 'cleared'
        WHEN NEW.embedding_hash IS DISTINCT FROM sha256(convert_to(content, 'UTF8'))
            THEN 'stale over fresh'
        WHEN NEW.embedding_hash IS NOT DISTINCT FROM OLD.embedding_hash THEN 'written again'
        ELSE 'written' END;
    INSERT INTO soak.audit VALUES (TG_TABLE_NAME, what, left(to_jsonb(NEW)::text, 200));
    RETURN NULL;
END $$;
"""


def audit_trigger(table: Table) -> str:
    """DDL of the audit trigger of a table, which has its provenance columns already."""
    columns = ", ".join((VECTOR, *PROVENANCE))
    text = table.expression.replace("'", "''")
    return (
        f"CREATE TRIGGER soak_audit AFTER UPDATE OF {columns} ON {table.name}"
        f" FOR EACH ROW EXECUTE FUNCTION soak.audit('{text}')"
    )
