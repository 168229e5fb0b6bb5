-- How many texts a column should find, how many vectors of its model it holds, and what these take in bytes.
SELECT
    count(*) FILTER (WHERE left(doc.text, {blank_within}) ~ {not_blank}),
    count(*) FILTER (WHERE doc.model = %(model)s),
    coalesce(sum(doc.bytes) FILTER (WHERE doc.model = %(model)s), 0)
FROM (
    SELECT ({text}
        )::text AS text, {model_column} AS model, pg_column_size({column}) AS bytes
    FROM {table}{tried}
) AS doc
