-- Parse and plan the text expression; reads nothing.
EXPLAIN SELECT ({text}
    )::text FROM {table}
