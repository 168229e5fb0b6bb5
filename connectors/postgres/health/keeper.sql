-- What the keeper finds and remembers.

-- name: stale_rows
-- Rows that a replay would make true, and what tells one that stayed so from one that became so again.
SELECT doc.key, {row_state} AS state, sha256(convert_to(doc.text, 'UTF8')) AS hash, doc.stored_hash, doc.stored_model
FROM (
    SELECT
        {doc}
    FROM {table}{tried}
    OFFSET 0 -- keeps the planner from evaluating the text once per use above
) AS doc
CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
WHERE {row_state} IN ('missing', 'stale_text', 'stale_model')
LIMIT %(limit)s

-- name: last_reconcile
-- Seconds since the last reconcile of any worker, by the database's clock; NULL or no line: look at once.
SELECT extract(epoch FROM clock_timestamp() - reconciled_at)::double precision
FROM vectrue.keeper WHERE prefix = %(prefix)s

-- name: note_reconcile
-- A reconcile has ended: no other worker needs one for a while.
INSERT INTO vectrue.keeper (prefix, reconciled_at, found) VALUES (%(prefix)s, clock_timestamp(), %(found)s)
ON CONFLICT (prefix) DO UPDATE SET reconciled_at = excluded.reconciled_at, found = excluded.found

-- name: sweep_quarantine
-- Lines of quarantine whose row is gone, or has another text than the refused one: nothing else would take them away when
-- the row was deleted, or went back to a text that its vector was made from.
DELETE FROM vectrue.quarantine AS our_line
WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal}
    AND NOT EXISTS (
        SELECT FROM (
            SELECT ARRAY[{keys_as_text}] AS key, sha256(convert_to(({text}
                )::text, 'UTF8')) AS hash,
                {unreadable} AS unreadable
            FROM {table}{tried}
        ) AS doc
        WHERE doc.key = our_line.key AND (doc.hash = our_line.hash OR (doc.unreadable AND our_line.hash = ''))
    )
RETURNING our_line.key

-- name: rounds
-- For how long no worker has looked, by the database's clock: since the last look, the last start of a worker that will, or the
-- last `init`, whichever came last. No line where `init` has not recorded the installation.
SELECT asked.what, extract(epoch FROM clock_timestamp() - greatest(
        installed.set_up_at, migrated.at, round.begun_at, round.at, looked.reconciled_at))::double precision,
    round.every_seconds, round.doing
FROM vectrue.installations AS installed
CROSS JOIN (SELECT max(applied_at) AS at FROM vectrue.migrations) AS migrated
CROSS JOIN unnest(%(what)s::text[]) AS asked (what)
LEFT JOIN vectrue.rounds AS round ON round.prefix = installed.prefix AND round.what = asked.what
LEFT JOIN vectrue.keeper AS looked ON looked.prefix = installed.prefix AND asked.what = 'rows'
WHERE installed.prefix = %(prefix)s
ORDER BY asked.what

-- name: begin_round
-- A worker has started that will look: it has time to, however long none did.
INSERT INTO vectrue.rounds (prefix, what, begun_at) VALUES (%(prefix)s, %(what)s, clock_timestamp())
ON CONFLICT (prefix, what) DO UPDATE SET begun_at = excluded.begun_at

-- name: note_round
-- A worker has looked, or (doing) is about to do what may take long.
INSERT INTO vectrue.rounds AS known (prefix, what, at, every_seconds, doing)
VALUES (%(prefix)s, %(what)s, clock_timestamp(), %(every)s, %(doing)s)
ON CONFLICT (prefix, what) DO UPDATE SET at = excluded.at, doing = excluded.doing,
    every_seconds = coalesce(excluded.every_seconds, known.every_seconds)

-- name: change_begun
SELECT EXISTS (
    SELECT FROM vectrue.rounds WHERE prefix = %(prefix)s AND what = %(what)s AND doing IS NOT NULL)

-- name: table_marks
-- What a table's rows are stored in and since when it is published, beside what was noted. Other relations or files (a
-- partition attached, a table rewritten, swapped, restored or unlogged for a while) bring rows without an event.
SELECT
    asked.table_name,
    coalesce((
        SELECT md5(string_agg(concat_ws('/', part.oid, part.relfilenode, part.relpersistence), ',' ORDER BY part.oid))
        FROM pg_class AS part
        WHERE part.oid = class.oid OR part.oid IN (SELECT tree.relid FROM pg_partition_tree(class.oid) AS tree)
    ) || '/' || coalesce((
        SELECT rel.oid::text
        FROM pg_publication_rel AS rel JOIN pg_publication AS pub ON pub.oid = rel.prpubid
        WHERE pub.pubname = %(publication)s AND rel.prrelid = class.oid
    ), 'unpublished'), '') AS mark,
    noted.mark AS noted
FROM unnest(%(tables)s::text[], %(schemas)s::text[], %(names)s::text[]) AS asked (table_name, schema_name, name)
LEFT JOIN pg_namespace AS namespace ON namespace.nspname = asked.schema_name
LEFT JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = asked.name
LEFT JOIN vectrue.table_marks AS noted ON noted.prefix = %(prefix)s AND noted.table_name = asked.table_name
ORDER BY asked.table_name

-- name: note_table_mark
INSERT INTO vectrue.table_marks (prefix, table_name, mark) VALUES (%(prefix)s, %(table)s, %(mark)s)
ON CONFLICT (prefix, table_name) DO UPDATE SET mark = excluded.mark, noted_at = clock_timestamp()
