-- The nearest rows, and what a comparison reads.

-- name: hold_table
-- Reads nothing. Until this transaction ends, no column of the table can be renamed.
SELECT {keys} FROM {table} LIMIT 0

-- name: tune_search
-- Set the options of an approximate index for one transaction; returns the schema of pgvector. HNSW returns at most ef_search
-- rows from a single scan. From pgvector 0.8 on, a scan may continue if a condition left too few rows; its order is relaxed, and
-- search_rows sorts again.
SELECT
    namespace.nspname,
    set_config('hnsw.ef_search', coalesce(
        %(ef_search)s,
        greatest(nullif(current_setting('hnsw.ef_search', true), '')::integer, 40, %(limit)s)
    )::text, true) AS ef_search,
    CASE WHEN (split_part(extversion, '.', 1)::integer, split_part(extversion, '.', 2)::integer) >= (0, 8) THEN
        set_config('hnsw.iterative_scan', 'relaxed_order', true)
        || set_config('ivfflat.iterative_scan', 'relaxed_order', true)
    END AS iterative_scan
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'vector'

-- name: search_rows
-- The nearest rows by cosine distance, among those whose vector the wanted model made. Rows are found first and read afterwards:
-- in one step, a search without an index would evaluate and hash the text of every row before it sorts them.
WITH our_asked AS MATERIALIZED (
    SELECT {keys_as_asked}, {distance} AS our_distance
    FROM {table}
    WHERE {model_column} = %(model)s AND {column} IS NOT NULL AND {condition}
    ORDER BY {order}
    LIMIT %(limit)s
)
SELECT
    ARRAY[{keys_as_text}] AS key,
    left(({text}
    )::text, {shown_within}) AS text,
    1 - our_asked.our_distance AS similarity,
    our_made.at AS embedded_at,
    extract(epoch FROM now() - our_made.at) AS age_seconds,
    {hash_column} = sha256(convert_to(({text}
    )::text, 'UTF8')) AND {tied} AS is_current
FROM our_asked
JOIN {table} ON {key_match}{tried}
CROSS JOIN LATERAL ( -- an application may have written a time, such as infinity, that Python cannot read
    SELECT CASE WHEN {time_column} >= '1900-01-01' AND {time_column} < '9999-01-01' THEN {time_column} END AS at
) AS our_made
ORDER BY our_asked.our_distance

-- name: searchable
-- How many texts a search in a column should find, how many vectors of its model there are, and their bytes.
SELECT
    count(*) FILTER (WHERE left(doc.text, {blank_within}) ~ {not_blank}),
    count(*) FILTER (WHERE doc.model = %(model)s),
    coalesce(sum(doc.bytes) FILTER (WHERE doc.model = %(model)s), 0)
FROM (
    SELECT ({text}
        )::text AS text, {model_column} AS model, pg_column_size({column}) AS bytes
    FROM {table}{tried}
) AS doc

-- name: rank_rows
-- Keys and texts of the nearest rows by cosine distance, for a comparison of columns.
SELECT ARRAY[{keys_as_text}] AS key, left(({text}
    )::text, {shown_within}) AS text
FROM {table}{tried}
WHERE {model_column} = %(model)s
ORDER BY {column} <=> %(query)s::vector
LIMIT %(limit)s

-- name: texts
-- Texts that are not blank, with their keys, in the order of the keys (limit NULL: all of them).
SELECT doc.key, doc.text
FROM (
    SELECT ARRAY[{keys_as_text}] AS key, left(({text}
        )::text, {shown_within}) AS text
    FROM {table}{tried}
    ORDER BY {keys}
    OFFSET 0 -- keeps the planner from evaluating the text more than once
) AS doc
WHERE left(doc.text, {blank_within}) ~ {not_blank}
LIMIT %(limit)s

-- name: with_text
-- Which of the asked rows exist and have a text, by their position, from 1.
SELECT our_asked.our_ord::integer
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
JOIN {table} ON {key_match}{tried}
WHERE left(({text}
    )::text, {blank_within}) ~ {not_blank}

-- name: add_operators
-- Append pgvector's schema to the search path of this session, which need not contain it.
SELECT set_config('search_path', concat_ws(', ', current_setting('search_path'), quote_ident(namespace.nspname)), false)
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'vector'
