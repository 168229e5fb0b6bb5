-- What a table's rows are stored in and since when it is published, beside what was noted. Other relations or files (a
-- partition attached, a table rewritten, swapped, restored or unlogged for a while) bring rows without an event.
SELECT
    asked.table_name,
    coalesce((
        SELECT md5(string_agg(concat_ws('/', part.oid, part.relfilenode, part.relpersistence), ',' ORDER BY part.oid))
        FROM pg_class AS part
        WHERE part.oid = class.oid OR part.oid IN (SELECT tree.relid FROM pg_partition_tree(class.oid) AS tree)
    ) || '/' || coalesce((
        SELECT rel.oid::text
        FROM pg_publication_rel AS rel JOIN pg_publication AS pub ON pub.oid = rel.prpubid
        WHERE pub.pubname = %(publication)s AND rel.prrelid = class.oid
    ), 'unpublished'), '') AS mark,
    noted.mark AS noted
FROM unnest(%(tables)s::text[], %(schemas)s::text[], %(names)s::text[]) AS asked (table_name, schema_name, name)
LEFT JOIN pg_namespace AS namespace ON namespace.nspname = asked.schema_name
LEFT JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = asked.name
LEFT JOIN vectrue.table_marks AS noted ON noted.prefix = %(prefix)s AND noted.table_name = asked.table_name
ORDER BY asked.table_name
