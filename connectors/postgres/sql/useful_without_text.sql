-- Searches with a useful row of a table, of which only the HMAC is kept.
SELECT count(DISTINCT query.id)
FROM vectrue.feedback AS feedback
JOIN vectrue.queries AS query ON query.id = feedback.query_id
WHERE feedback.table_name = %(table)s AND feedback.useful AND query.query_text IS NULL
