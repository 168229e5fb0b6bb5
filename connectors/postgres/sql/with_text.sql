-- Of the rows that are asked for, by their place in the question: those that are there and have a text.
SELECT our_asked.our_ord::integer
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
JOIN {table} ON {key_match}{tried}
WHERE left(({text}
    )::text, {blank_within}) ~ {not_blank}
