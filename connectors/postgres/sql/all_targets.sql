-- What the database wants everywhere; a worker compares it with what it wanted when the worker started.
SELECT table_name, column_name, model, dimensions, to_jsonb(target) ->> 'frozen', right(to_jsonb(target) ->> 'text_digest', -2)
FROM vectrue.targets AS target
ORDER BY table_name, column_name
