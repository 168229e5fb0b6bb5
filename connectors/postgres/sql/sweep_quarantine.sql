-- Lines of quarantine whose row is gone, or has another text than the refused one: nothing else would take them away when
-- the row was deleted, or went back to a text that its vector was made from.
DELETE FROM vectrue.quarantine AS our_line
WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal}
    AND NOT EXISTS (
        SELECT FROM (
            SELECT ARRAY[{keys_as_text}] AS key, sha256(convert_to(({text}
                )::text, 'UTF8')) AS hash,
                {unreadable} AS unreadable
            FROM {table}{tried}
        ) AS doc
        WHERE doc.key = our_line.key AND (doc.hash = our_line.hash OR (doc.unreadable AND our_line.hash = ''))
    )
RETURNING our_line.key
