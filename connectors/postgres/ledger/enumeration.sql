-- Which rows a run is about.

-- name: enumerate_keys
-- The next keys of a replay, in the order of the primary key, after the last one enumerated.
SELECT doc.key
FROM (
    SELECT
        {doc}
    FROM {table}{tried}
    WHERE {after_cursor}
        AND {filters}
    ORDER BY {keys}
) AS doc
CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
WHERE {wanted_states}
LIMIT %(limit)s

-- name: after_cursor
-- Fragment: the rows after the last one enumerated.
({keys}) > ({bounds})

-- name: survey
-- One pass over a column's rows: how many are in each state, and how large the texts are.
SELECT
    count(*) AS rows,
    count(*) FILTER (WHERE state = 'current') AS current,
    count(*) FILTER (WHERE state = 'missing') AS missing,
    count(*) FILTER (WHERE state = 'stale_text') AS stale_text,
    count(*) FILTER (WHERE state = 'stale_model') AS stale_model,
    count(*) FILTER (WHERE state = 'blank') AS blank,
    count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
    count(*) FILTER (WHERE state = 'unreadable') AS unreadable,
    avg(bytes) FILTER (WHERE state <> 'blank')::double precision AS mean_bytes,
    max(bytes) FILTER (WHERE state <> 'blank') AS largest_bytes
FROM (
    SELECT octet_length(doc.text) AS bytes, {row_state} AS state
    FROM (
        SELECT
            {doc}
        FROM {table} {sample}{tried}
        WHERE {filters}
        OFFSET 0 -- keeps the planner from evaluating the text once per use above
    ) AS doc
    CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
    OFFSET 0 -- the same for the state
) AS seen

-- name: asked_keys
-- Fragment: rows by key.
EXISTS (SELECT FROM unnest({key_arrays}) AS our_asked ({key_names}) WHERE {key_match})

-- name: plain_keys
-- Keys as the database writes them, in the order asked; an error if one is not a value of its column's type.
SELECT ARRAY[{key_texts}]
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
ORDER BY our_asked.our_ord

-- name: named_rows
-- Keys as the database writes them, each with the key of the row that it names, or NULL. In the order asked.
SELECT ARRAY[{key_texts}], found.key
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
LEFT JOIN LATERAL (SELECT ARRAY[{keys_as_text}] AS key FROM {table} WHERE {key_match} LIMIT 1) AS found ON true
ORDER BY our_asked.our_ord

-- name: relation_facts
-- Size of a table with its partitions: bytes, rows as last analysed (negative: never), indexes, whether one of them is over vectors.
WITH relations AS (
    SELECT class.oid, class.reltuples, class.relkind
    FROM pg_class AS class
    WHERE class.oid = %(table)s::regclass
        OR class.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass))
)
SELECT
    coalesce(sum(pg_relation_size(oid)), 0)::bigint AS heap_bytes,
    (CASE WHEN bool_or(reltuples < 0 AND relkind = 'r') THEN -1 ELSE sum(reltuples) FILTER (WHERE relkind = 'r') END)::double precision AS rows,
    (SELECT count(*) FROM pg_index WHERE indrelid = %(table)s::regclass) AS indexes,
    EXISTS (
        SELECT FROM pg_index AS index
        JOIN pg_class AS class ON class.oid = index.indexrelid
        JOIN pg_am AS method ON method.oid = class.relam
        WHERE index.indrelid IN (SELECT oid FROM relations) AND method.amname IN ('hnsw', 'ivfflat')
    ) AS vector_index
FROM relations

-- name: written_before
-- Fragment of `--since`: vectors written before a time. A row without a vector does not count.
{time_column} < %(since)s
