-- Keep the figures of judged queries.
INSERT INTO vectrue.quality_runs (table_name, model, queries, gone, way, ndcg, recall, mrr, p50_seconds, p95_seconds)
VALUES (%(table)s, %(model)s, %(queries)s, %(gone)s, %(way)s, %(ndcg)s, %(recall)s, %(mrr)s, %(p50_seconds)s, %(p95_seconds)s)
