-- Feedback by table.
SELECT table_name, count(*) FILTER (WHERE useful), count(*) FROM vectrue.feedback GROUP BY table_name ORDER BY table_name
