-- The indexes that read one column of a table, whether as a plain column or within an expression or a condition.
SELECT
    class.relname,
    pg_get_indexdef(idx.indexrelid),
    idx.indisvalid,
    method.amname,
    idx.indnatts = 1 AND idx.indkey[0] = att.attnum AND idx.indpred IS NULL AS plain,
    pg_relation_size(idx.indexrelid)
FROM pg_attribute AS att
JOIN pg_index AS idx ON idx.indrelid = att.attrelid
JOIN pg_class AS class ON class.oid = idx.indexrelid
JOIN pg_am AS method ON method.oid = class.relam
WHERE att.attrelid = %(oid)s AND att.attname = %(column)s AND NOT att.attisdropped
    AND EXISTS (
        SELECT FROM pg_depend AS dep
        WHERE dep.classid = 'pg_class'::regclass AND dep.objid = idx.indexrelid
            AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid = att.attrelid AND dep.refobjsubid = att.attnum
    )
ORDER BY class.relname
