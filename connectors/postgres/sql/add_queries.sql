-- Searches that were answered.
INSERT INTO vectrue.queries
    (id, query_text, query_hmac, models, tables, hits, embed_seconds, database_seconds, total_seconds)
VALUES %s
