-- The columns of a run and how far each was enumerated.
SELECT table_name, column_name, model, expected, cursor_key, enumerated
FROM vectrue.replay_scopes
WHERE run = %(run)s
ORDER BY table_name, column_name
