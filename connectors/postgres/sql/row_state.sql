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
