-- What the catalogue says about tables, their columns, and expressions over them.

-- name: inspect_table
-- Everything about a table that decides whether and how its vectors can be kept true. No line if the relation does not exist.
SELECT
    class.oid,
    class.relkind::text,
    class.relpersistence::text,
    class.relreplident::text,
    class.relrowsecurity,
    class.relispartition,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', att.attname, 'type', format_type(att.atttypid, -1),
                                                  'category', typ.typcategory) ORDER BY pos.ord), '[]')
     FROM pg_index AS idx
     CROSS JOIN LATERAL unnest(idx.indkey) WITH ORDINALITY AS pos (attnum, ord)
     JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = pos.attnum
     JOIN pg_type AS typ ON typ.oid = att.atttypid
     WHERE idx.indrelid = class.oid AND idx.indisprimary AND pos.ord <= idx.indnkeyatts) AS primary_key,
    (SELECT coalesce(jsonb_agg(att.attname), '[]')
     FROM pg_index AS idx
     JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = ANY (idx.indkey)
     WHERE idx.indrelid = class.oid AND idx.indisreplident) AS identity_columns,
    (SELECT jsonb_object_agg(att.attname, jsonb_build_object('type', format_type(att.atttypid, -1), 'typmod', att.atttypmod,
                                                              'category', typ.typcategory))
     FROM pg_attribute AS att
     JOIN pg_type AS typ ON typ.oid = att.atttypid
     WHERE att.attrelid = class.oid AND att.attnum > 0 AND NOT att.attisdropped) AS columns,
    (SELECT coalesce(jsonb_agg(trg.tgname ORDER BY trg.tgname), '[]')
     FROM pg_trigger AS trg
     WHERE trg.tgrelid = class.oid AND NOT trg.tgisinternal AND trg.tgenabled IN ('O', 'A')
         AND (trg.tgtype & 16) <> 0) AS update_triggers, -- 16 = TRIGGER_TYPE_UPDATE of pg_trigger.h
    (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = coalesce(%(role)s, current_user)) AS bypasses_rls,
    greatest(class.reltuples, 0)::bigint AS estimated_rows
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = %(schema)s AND class.relname = %(name)s

-- name: check_text
-- The text alone, to be parsed and planned; as a condition, like text_view.
SELECT 1 FROM {table} WHERE (({text}
    )::text) IS NULL

-- name: relation_columns
-- Schema, name and columns of a relation.
SELECT namespace.nspname::text, class.relname::text,
    array_agg(att.attname::text ORDER BY att.attnum)
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum > 0 AND NOT att.attisdropped
WHERE class.oid = %(oid)s
GROUP BY 1, 2

-- name: vector_schema
-- The schema of pgvector's functions, which need not be in the search path.
SELECT namespace.nspname
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'vector'

-- name: table_tree
-- A table and all that inherit from it, each with its parent, parents first.
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

-- name: text_view
-- A view of the text alone, created and rolled back, so that the catalogue knows which columns it reads. The text is a
-- condition, as in a write, since a condition may not be an aggregate or return several rows.
CREATE TEMPORARY VIEW our_text AS
SELECT 1 AS one FROM {table} WHERE (({text}
    )::text) IS NULL

-- name: domains_of_others
-- In a superuser's session: a domain whose CHECK calls a function that no superuser owns, with that owner. The parser calls the
-- function when a quoted array, composite or range has values of the domain.
SELECT con.contypid::regtype::text, proc.oid::regprocedure::text, owner.rolname::text
FROM pg_constraint AS con
JOIN pg_depend AS dep ON dep.classid = 'pg_constraint'::regclass AND dep.objid = con.oid
LEFT JOIN pg_operator AS operator ON dep.refclassid = 'pg_operator'::regclass AND operator.oid = dep.refobjid
JOIN pg_proc AS proc ON proc.oid = CASE dep.refclassid
    WHEN 'pg_proc'::regclass THEN dep.refobjid WHEN 'pg_operator'::regclass THEN operator.oprcode END
JOIN pg_roles AS owner ON owner.oid = proc.proowner
WHERE con.contypid <> 0 AND NOT owner.rolsuper AND current_setting('is_superuser') = 'on'
ORDER BY 1
LIMIT 1

-- name: published
-- Published tables by name, without those of vectrue.
SELECT namespace.nspname::text, class.relname::text
FROM pg_publication AS pub
JOIN pg_publication_rel AS rel ON rel.prpubid = pub.oid
JOIN pg_class AS class ON class.oid = rel.prrelid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE pub.pubname = %(publication)s AND namespace.nspname <> 'vectrue'

-- name: key_names
-- Columns of a table's primary key, in its order.
SELECT att.attname
FROM pg_index AS idx
CROSS JOIN LATERAL unnest(idx.indkey) WITH ORDINALITY AS pos (attnum, ord)
JOIN pg_attribute AS att ON att.attrelid = idx.indrelid AND att.attnum = pos.attnum
WHERE idx.indrelid = to_regclass(%(table)s) AND idx.indisprimary
ORDER BY pos.ord

-- name: is_relation
-- Whether a relation of this schema and name exists.
SELECT EXISTS (
    SELECT FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname = %s AND class.relname = %s)
