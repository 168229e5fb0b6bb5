-- Of the rows that are asked for, by their place in the question: those that are there and have a text.
SELECT asked.embedsync_ord::integer
FROM unnest({key_arrays}) WITH ORDINALITY AS asked ({key_names}, embedsync_ord)
JOIN {table} ON {key_match}
WHERE ({text}
    )::text ~ {not_blank}
