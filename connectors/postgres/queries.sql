-- Fragments of queries about a column (queries.py).

-- name: tied
-- Fragment: whether a vector is the one that was written with its provenance. After the digest stands the id of the transaction
-- that wrote it. If the row was not written since, the vector need not be read, which takes longest by far.
coalesce({untouched} OR substring({digest_column} FROM 1 FOR 8) = vectrue.vector_digest({column}), true)

-- name: doc
-- Fragment: what row_state needs to know about a row, as the columns of `doc`.
({text}
)::text AS text,
ARRAY[{keys_as_text}] AS key,
{column} IS NOT NULL AS vector,
{hash_column} AS stored_hash,
{model_column} AS stored_model,
{unreadable} AS unreadable,
{tied} AS tied

-- name: row_state
-- Fragment: the state of one row. It needs a relation `doc` with the columns of the fragment doc, and `wanted` with model.
-- The states are disjoint and cover every row.
CASE
    WHEN doc.unreadable THEN 'unreadable'
    WHEN coalesce(left(doc.text, {blank_within}) !~ {not_blank}, true) THEN
        CASE WHEN doc.vector OR doc.stored_hash IS NOT NULL OR doc.stored_model IS NOT NULL THEN 'stale_text' ELSE 'blank' END
    WHEN doc.vector AND doc.stored_model = wanted.model AND doc.stored_hash = sha256(convert_to(doc.text, 'UTF8')) AND doc.tied
        THEN 'current'
    WHEN EXISTS (
        SELECT FROM vectrue.quarantine AS our_line
        WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal} AND our_line.key = doc.key
            AND our_line.model = wanted.model AND our_line.hash = sha256(convert_to(doc.text, 'UTF8'))
    ) THEN 'quarantined'
    WHEN NOT doc.vector THEN 'missing'
    WHEN doc.stored_model IS DISTINCT FROM wanted.model THEN 'stale_model'
    ELSE 'stale_text'
END

-- name: of_no_row
-- Fragment for an exception handler: whether the error says nothing about any row (conditions.is_of_a_row is the same rule).
-- What a function of the application raises is about the row, whichever condition it names: then RAISE is innermost.
SQLSTATE LIKE ANY ({not_of_a_row}) AND split_part(our_where, E'\n', 1) !~ E'\\mRAISE\\M'
