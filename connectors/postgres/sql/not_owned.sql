-- A table and its partitions, as far as the connected role does not own them: name and owner.
WITH RECURSIVE relations AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT heir.inhrelid FROM relations JOIN pg_inherits AS heir ON heir.inhparent = relations.oid
)
SELECT format('%%I.%%I', namespace.nspname, class.relname), quote_ident(pg_get_userbyid(class.relowner))
FROM relations
JOIN pg_class AS class USING (oid)
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE NOT pg_has_role(class.relowner, 'USAGE')
ORDER BY 1
