-- Tables that the keeper has not looked at yet, the longest wait first.
SELECT table_name, reason, asked_at, greatest(extract(epoch FROM clock_timestamp() - asked_at), 0)::double precision
FROM vectrue.looks
WHERE prefix = %(prefix)s
ORDER BY asked_at, table_name
