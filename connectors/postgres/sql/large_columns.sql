-- Columns of a table that may be long, and that this role may read. octet_length of a text or bytea reads no content.
SELECT att.attname, att.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype)
FROM pg_attribute AS att
WHERE att.attrelid = to_regclass(%(table)s) AND att.attnum > 0 AND NOT att.attisdropped AND att.attlen = -1
    AND has_column_privilege(att.attrelid, att.attnum, 'SELECT')
ORDER BY att.attnum
