-- Of each table the last figures, then the last ones of another model before them; with their age in seconds.
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
