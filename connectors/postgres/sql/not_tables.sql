-- Those of some names that are not tables: what they show may be a part of the rows.
SELECT asked.name, class.relkind::text
FROM unnest(%(names)s::text[], %(schemas)s::text[], %(tables)s::text[]) AS asked (name, schema, relation)
JOIN pg_namespace AS namespace ON namespace.nspname = asked.schema
JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = asked.relation
WHERE class.relkind NOT IN ('r', 'p')
