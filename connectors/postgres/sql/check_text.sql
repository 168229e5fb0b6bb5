-- The text alone, to be parsed and planned.
SELECT ({text}
    )::text FROM {table}
