-- Columns that are on their way from one model to another; with `finished` those that arrived, too.
SELECT table_name, column_name, state, offline, frozen, from_model, from_dimensions, to_model, to_dimensions, indexes,
    from_settings, to_settings
FROM vectrue.column_migrations
WHERE state IN ('started', 'swapped') OR (%(finished)s AND state = 'finished')
ORDER BY table_name, column_name
