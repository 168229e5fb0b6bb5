-- Judged queries, logged searches, feedback.

-- name: add_quality_run
-- Keep the figures of judged queries.
INSERT INTO vectrue.quality_runs (table_name, model, queries, gone, way, ndcg, recall, mrr, p50_seconds, p95_seconds)
VALUES (%(table)s, %(model)s, %(queries)s, %(gone)s, %(way)s, %(ndcg)s, %(recall)s, %(mrr)s, %(p50_seconds)s, %(p95_seconds)s)

-- name: last_quality_runs
-- The last figures of each table, then the last ones before them of another model; with their age in seconds.
WITH last AS (SELECT DISTINCT ON (table_name) * FROM vectrue.quality_runs ORDER BY table_name, id DESC),
before AS (
    SELECT DISTINCT ON (run.table_name) run.*
    FROM vectrue.quality_runs AS run
    JOIN last ON last.table_name = run.table_name AND last.model <> run.model
    ORDER BY run.table_name, run.id DESC
)
SELECT false AS is_before, extract(epoch FROM clock_timestamp() - at)::float8 AS age_seconds, table_name, model, at, queries,
    gone, way, ndcg, recall, mrr, p50_seconds, p95_seconds
FROM last
UNION ALL
SELECT true, extract(epoch FROM clock_timestamp() - at)::float8, table_name, model, at, queries, gone, way, ndcg, recall, mrr,
    p50_seconds, p95_seconds
FROM before
ORDER BY table_name, is_before

-- name: forget_quality_runs
-- Delete all but the newest figures of a table.
DELETE FROM vectrue.quality_runs
WHERE table_name = %(table)s AND id <= (
    SELECT id FROM vectrue.quality_runs WHERE table_name = %(table)s ORDER BY id DESC OFFSET %(keep)s LIMIT 1
)

-- name: opinions
-- Feedback by table.
SELECT table_name, count(*) FILTER (WHERE useful), count(*) FROM vectrue.feedback GROUP BY table_name ORDER BY table_name

-- name: useful_rows
-- Texts that were searched for, with the rows of a table that people found useful; the last opinion on a text and row counts.
WITH said AS (
    SELECT DISTINCT ON (query.query_text, feedback.key) query.query_text, feedback.key, feedback.useful
    FROM vectrue.feedback AS feedback
    JOIN vectrue.queries AS query ON query.id = feedback.query_id
    WHERE feedback.table_name = %(table)s AND query.query_text IS NOT NULL
    ORDER BY query.query_text, feedback.key, feedback.at DESC
)
SELECT query_text, jsonb_agg(key ORDER BY key) FROM said WHERE useful GROUP BY query_text ORDER BY query_text

-- name: useful_without_text
-- Searches with a useful row of a table, of whose text only the HMAC was kept.
SELECT count(DISTINCT query.id)
FROM vectrue.feedback AS feedback
JOIN vectrue.queries AS query ON query.id = feedback.query_id
WHERE feedback.table_name = %(table)s AND feedback.useful AND query.query_text IS NULL

-- name: add_queries
-- Searches that were answered.
INSERT INTO vectrue.queries
    (id, query_text, query_hmac, models, tables, hits, embed_seconds, database_seconds, total_seconds)
VALUES %s

-- name: give_feedback
-- Keep an opinion on a row that a search found; the last one counts. No line if the search is not known; else whether it found
-- that row, and whether the opinion is new.
WITH asked AS (
    SELECT query.id, EXISTS (
        SELECT FROM jsonb_array_elements(query.hits) AS hit
        WHERE hit ->> 'table' = %(table)s AND hit -> 'key' = to_jsonb(%(key)s::text[])
    ) AS found
    FROM vectrue.queries AS query
    WHERE query.id = %(query)s
),
given AS (
    INSERT INTO vectrue.feedback AS known (query_id, table_name, key, useful)
    SELECT id, %(table)s, %(key)s::text[], %(useful)s FROM asked WHERE found
    ON CONFLICT (query_id, table_name, key) DO UPDATE SET useful = excluded.useful, at = excluded.at
        WHERE known.useful <> excluded.useful
    RETURNING 1
)
SELECT found, EXISTS (SELECT FROM given) AS is_new FROM asked

-- name: forget_queries
-- Delete old searches with their feedback; only some at a time, so that it does not take long.
DELETE FROM vectrue.queries
WHERE id IN (
    SELECT id FROM vectrue.queries
    WHERE at < clock_timestamp() - make_interval(secs => %(seconds)s) ORDER BY at LIMIT %(limit)s
)
