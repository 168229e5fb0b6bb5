-- Texts that were searched for, with the rows of a table that people found useful; of one text and row the last word counts.
WITH said AS (
    SELECT DISTINCT ON (query.query_text, feedback.key) query.query_text, feedback.key, feedback.useful
    FROM vectrue.feedback AS feedback
    JOIN vectrue.queries AS query ON query.id = feedback.query_id
    WHERE feedback.table_name = %(table)s AND query.query_text IS NOT NULL
    ORDER BY query.query_text, feedback.key, feedback.at DESC
)
SELECT query_text, jsonb_agg(key ORDER BY key) FROM said WHERE useful GROUP BY query_text ORDER BY query_text
