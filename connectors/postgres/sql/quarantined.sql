-- The rows in quarantine, oldest first.
SELECT table_name, column_name, key, reason, attempts, first_at, last_at
FROM vectrue.quarantine
ORDER BY last_at, table_name, column_name, key
