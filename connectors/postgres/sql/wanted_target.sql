-- What the database wants in a vector column. The row as JSON, since a schema that `init` has not brought up to date yet
-- has no column `frozen`.
SELECT model, dimensions, coalesce((to_jsonb(target) ->> 'frozen')::boolean, false), right(to_jsonb(target) ->> 'text_digest', -2)
FROM vectrue.targets AS target
WHERE table_name = %(table)s AND column_name = %(column)s
