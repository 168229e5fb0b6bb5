-- Columns of a table that the role may not use in the given way yet.
SELECT coalesce(array_agg(att.attname::text ORDER BY att.attnum), '{}')
FROM pg_attribute AS att
WHERE att.attrelid = %(oid)s AND att.attname = ANY (%(columns)s) AND NOT att.attisdropped
    AND NOT has_column_privilege(%(role)s, att.attrelid, att.attnum, %(right)s)
