-- Rows counted by state.

-- name: coverage_of
-- One column's line of the view vectrue.coverage.
SELECT
    wanted.table_name,
    wanted.column_name,
    wanted.model,
    wanted.dimensions,
    count(doc.key) AS rows,
    count(doc.key) FILTER (WHERE doc.state = 'current') AS current,
    count(doc.key) FILTER (WHERE doc.state = 'missing') AS missing,
    count(doc.key) FILTER (WHERE doc.state = 'stale_text') AS stale_text,
    count(doc.key) FILTER (WHERE doc.state = 'stale_model') AS stale_model,
    count(doc.key) FILTER (WHERE doc.state = 'blank') AS blank,
    count(doc.key) FILTER (WHERE doc.state = 'quarantined') AS quarantined,
    count(doc.key) FILTER (WHERE doc.state = 'unreadable') AS unreadable
FROM vectrue.targets AS wanted
LEFT JOIN LATERAL (
    SELECT doc.key, {row_state} AS state
    FROM (
        SELECT
            {doc}
        FROM {table}{tried}
        OFFSET 0 -- keeps the planner from evaluating the text once per use above
    ) AS doc
    OFFSET 0 -- the same for the state
) AS doc ON true
WHERE wanted.table_name = {table_literal} AND wanted.column_name = {column_literal}
GROUP BY wanted.table_name, wanted.column_name, wanted.model, wanted.dimensions

-- name: has_rows
-- Whether a table has a row; an error if a policy would hide some.
SELECT EXISTS (SELECT FROM {table})

-- name: not_tables
-- Names of relations that are not tables: they may show only a part of the rows.
SELECT asked.name, class.relkind::text
FROM unnest(%(names)s::text[], %(schemas)s::text[], %(tables)s::text[]) AS asked (name, schema, relation)
JOIN pg_namespace AS namespace ON namespace.nspname = asked.schema
JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = asked.relation
WHERE class.relkind NOT IN ('r', 'p')

-- name: without_text
-- Rows without a vector that have content in one of the columns that their text reads, but no text since another one is empty;
-- and for each column that the text reads, in how many of these rows it is NULL. A text that is '' does not count.
SELECT count(*), ARRAY[{nulls}]::bigint[]
FROM {table}{tried}
WHERE {column} IS NULL AND NOT {unreadable} AND ({holes}) AND ({content}) AND (({text}
    )::text) IS NULL
