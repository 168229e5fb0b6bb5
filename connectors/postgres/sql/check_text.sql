-- The text alone, to be parsed and planned; as a condition, like text_view.sql.
SELECT 1 FROM {table} WHERE (({text}
    )::text) IS NULL
