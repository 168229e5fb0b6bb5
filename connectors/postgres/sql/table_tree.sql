-- A table and all that inherit from it, with the one above, parents first. `leaf`: has rows of its own.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid, NULL::oid AS parent, 0 AS level
    UNION
    SELECT child.inhrelid, child.inhparent, tree.level + 1 FROM tree JOIN pg_inherits AS child ON child.inhparent = tree.oid
)
SELECT tree.oid, tree.parent, space.nspname, class.relname, class.relkind::text
FROM tree
JOIN pg_class AS class ON class.oid = tree.oid
JOIN pg_namespace AS space ON space.oid = class.relnamespace
ORDER BY tree.level, space.nspname, class.relname
