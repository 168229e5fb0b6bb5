-- Feedback by table.
SELECT table_name, count(*) FILTER (WHERE useful), count(*) FROM embedsync.feedback GROUP BY table_name ORDER BY table_name
