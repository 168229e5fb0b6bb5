-- Tables that one column of a table is inherited from: there alone it can take another name.
SELECT format('%%I.%%I', namespace.nspname, parent.relname)
FROM pg_attribute AS att
JOIN pg_inherits AS heir ON heir.inhrelid = att.attrelid
JOIN pg_class AS parent ON parent.oid = heir.inhparent
JOIN pg_namespace AS namespace ON namespace.oid = parent.relnamespace
WHERE att.attrelid = %(oid)s AND att.attname = %(column)s AND att.attinhcount > 0 AND NOT att.attisdropped
    AND EXISTS (SELECT FROM pg_attribute AS theirs WHERE theirs.attrelid = parent.oid AND theirs.attname = att.attname)
ORDER BY 1
