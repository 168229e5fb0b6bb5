-- Fragments that queries about a column are put together from (queries.py).

-- name: tied
-- Whether a vector is the one that was written with its provenance, as a fragment. What wrote it left its transaction's
-- number behind the digest: where nobody has written the row since, the vector is not read, which takes longest by far.
coalesce({untouched} OR substring({digest_column} FROM 1 FOR 8) = vectrue.vector_digest({column}), true)

-- name: doc
-- What the rule in row_state.sql needs to know of a row, as the columns of `doc`.
({text}
)::text AS text,
ARRAY[{keys_as_text}] AS key,
{column} IS NOT NULL AS vector,
{hash_column} AS stored_hash,
{model_column} AS stored_model,
{unreadable} AS unreadable,
{tied} AS tied

-- name: row_state
-- One row's state, as a fragment. Expects a relation `doc` with text, key, vector, unreadable and
-- tied (boolean), stored_hash and stored_model,
-- and `wanted` with model. The seven states are disjoint and cover every doc.
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
-- In a handler: whether what is caught says nothing about any row, as a fragment; `conditions.is_of_a_row` is the same rule.
-- What a function of the application raises by itself does, whatever condition it calls that: then RAISE stands innermost.
SQLSTATE LIKE ANY ({not_of_a_row}) AND split_part(our_where, E'\n', 1) !~ E'\\mRAISE\\M'
