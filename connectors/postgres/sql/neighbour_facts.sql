-- What a publication and a foreign writer could break in a table, beyond inspect_table.sql.
SELECT
    pg_has_role(class.relowner, 'USAGE') AS owned,
    -- As row_security_active() decides it, for another role than the one that asks.
    NOT class.relrowsecurity OR role.rolsuper OR role.rolbypassrls
        OR (NOT class.relforcerowsecurity AND pg_has_role(role.oid, class.relowner, 'USAGE')) AS sees_all_rows,
    -- A deferrable primary key is no replica identity.
    coalesce((SELECT idx.indimmediate FROM pg_index AS idx WHERE idx.indrelid = class.oid AND idx.indisprimary), true)
        AS key_immediate,
    (SELECT coalesce(jsonb_object_agg(att.attname, format_type(coalesce(nullif(typ.typbasetype, 0), typ.oid), NULL)), '{}')
     FROM pg_index AS idx
     JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = ANY (idx.indkey)
     JOIN pg_type AS typ ON typ.oid = att.atttypid
     WHERE idx.indrelid = class.oid AND idx.indisprimary) AS key_base_types,
    (SELECT coalesce(jsonb_agg(att.attname), '[]')
     FROM pg_attribute AS att
     WHERE att.attrelid = class.oid AND att.attgenerated <> '' AND NOT att.attisdropped) AS generated,
    (SELECT coalesce(jsonb_agg(att.attname), '[]')
     FROM pg_attribute AS att
     WHERE att.attrelid = class.oid AND att.attnotnull AND NOT att.attisdropped) AS not_null,
    class.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = class.oid) AS inherited_from,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', leaf.oid::regclass::text, 'kind', leaf.relkind,
        'persistence', leaf.relpersistence, 'replica_identity', leaf.relreplident)), '[]')
     FROM pg_partition_tree(class.oid) AS tree
     JOIN pg_class AS leaf ON leaf.oid = tree.relid
     WHERE class.relkind = 'p' AND tree.isleaf AND leaf.relkind <> 'p') AS partitions,
    (SELECT root.relid::regclass::text FROM pg_partition_ancestors(class.oid) AS root
     ORDER BY root.relid = class.oid, (SELECT count(*) FROM pg_partition_ancestors(root.relid)) LIMIT 1) AS root
FROM pg_class AS class
JOIN pg_roles AS role ON role.rolname = %(worker)s
WHERE class.oid = %(oid)s
