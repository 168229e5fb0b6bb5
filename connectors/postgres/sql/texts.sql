-- Texts that are not blank with their keys, in the order of the keys: all of them, or the first (limit NULL: all).
SELECT doc.key, doc.text
FROM (
    SELECT ARRAY[{keys_as_text}] AS key, left(({text}
        )::text, {shown_within}) AS text
    FROM {table}{tried}
    ORDER BY {keys}
    OFFSET 0 -- keeps the planner from evaluating the text more than once
) AS doc
WHERE left(doc.text, {blank_within}) ~ {not_blank}
LIMIT %(limit)s
