-- Indexes, dependents, owners and sizes of a column that is being migrated.

-- name: vector_indexes
-- The indexes that read a vector column or its provenance, as a column or within an expression or a condition, of a table and of
-- all that inherit from it (partitions, and their partitions). `level`: 0 is the table itself.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid, 0 AS level
    UNION
    SELECT child.inhrelid, tree.level + 1 FROM tree JOIN pg_inherits AS child ON child.inhparent = tree.oid
)
SELECT
    idx.indexrelid,
    class.relname,
    space.nspname,
    owner.relname,
    idx.indrelid,
    min(tree.level),
    class.relkind = 'I' AS framed,
    (SELECT frame.inhparent FROM pg_inherits AS frame WHERE frame.inhrelid = idx.indexrelid) AS parent,
    pg_get_indexdef(idx.indexrelid),
    idx.indisvalid AND idx.indisready AND idx.indislive AS valid,
    CASE WHEN class.relkind = 'I' THEN 0 ELSE pg_relation_size(idx.indexrelid) END AS bytes,
    (SELECT spcname FROM pg_tablespace WHERE oid = class.reltablespace) AS tablespace,
    (SELECT quote_ident(con.conname) FROM pg_constraint AS con
     WHERE con.conindid = idx.indexrelid AND con.contype IN ('u', 'x', 'p') LIMIT 1) AS held_by,
    EXISTS (
        SELECT FROM pg_stat_progress_create_index AS build
        WHERE build.datname = current_database() AND (build.index_relid = idx.indexrelid OR (
            build.index_relid IS NULL AND NOT idx.indisvalid AND EXISTS ( -- Postgres hides the details of another role's build
                SELECT FROM pg_locks AS held
                WHERE held.pid = build.pid AND held.relation = idx.indrelid AND held.mode = 'ShareUpdateExclusiveLock'
            )
        ))
    ) AS building
FROM tree
JOIN pg_index AS idx ON idx.indrelid = tree.oid
JOIN pg_class AS class ON class.oid = idx.indexrelid
JOIN pg_class AS owner ON owner.oid = idx.indrelid
JOIN pg_namespace AS space ON space.oid = class.relnamespace
WHERE EXISTS (
    SELECT FROM pg_depend AS dep
    JOIN pg_attribute AS att ON att.attrelid = dep.refobjid AND att.attnum = dep.refobjsubid
    WHERE dep.classid = 'pg_class'::regclass AND dep.objid = idx.indexrelid AND dep.refclassid = 'pg_class'::regclass
        AND dep.refobjid = idx.indrelid AND att.attname = ANY (%(columns)s) AND NOT att.attisdropped
)
OR EXISTS ( -- an index that belongs to a constraint depends on that, not on the columns
    SELECT FROM pg_attribute AS att
    WHERE att.attrelid = idx.indrelid AND att.attnum = ANY (idx.indkey) AND att.attname = ANY (%(columns)s)
)
GROUP BY idx.indexrelid, class.oid, owner.oid, space.oid, idx.indrelid, idx.indisvalid, idx.indisready, idx.indislive
ORDER BY min(tree.level), space.nspname, owner.relname, class.relname

-- name: index_progress
-- How far a CREATE INDEX CONCURRENTLY is.
SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total
FROM pg_stat_progress_create_index
WHERE pid = %(pid)s

-- name: dependents
-- What depends on columns of a table or of its partitions, and what depends on that; what has to be dropped first comes first.
-- Indexes and not-null constraints are left out. `goes`: DROP COLUMN drops it too, without an error.
WITH RECURSIVE relations AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT heir.inhrelid FROM relations JOIN pg_inherits AS heir ON heir.inhparent = relations.oid
), mine AS (
    SELECT att.attrelid, att.attnum
    FROM relations
    JOIN pg_attribute AS att ON att.attrelid = relations.oid AND NOT att.attisdropped AND att.attname = ANY (%(columns)s)
), found AS (
    SELECT
        CASE WHEN rule.rulename = '_RETURN' THEN 'pg_class'::regclass::oid ELSE dep.classid END AS classid,
        CASE WHEN rule.rulename = '_RETURN' THEN rule.ev_class ELSE dep.objid END AS objid,
        dep.objsubid,
        dep.deptype <> 'n' AS goes,
        1 AS level
    FROM mine
    JOIN pg_depend AS dep
        ON dep.refclassid = 'pg_class'::regclass AND dep.refobjid = mine.attrelid AND dep.refobjsubid = mine.attnum
    LEFT JOIN pg_rewrite AS rule ON dep.classid = 'pg_rewrite'::regclass AND rule.oid = dep.objid
    UNION
    SELECT
        CASE WHEN rule.rulename = '_RETURN' THEN 'pg_class'::regclass::oid ELSE dep.classid END,
        CASE WHEN rule.rulename = '_RETURN' THEN rule.ev_class ELSE dep.objid END,
        dep.objsubid,
        false,
        found.level + 1
    FROM found
    JOIN pg_depend AS dep ON dep.deptype = 'n' AND (
        (dep.refclassid = found.classid AND dep.refobjid = found.objid
            AND (found.objsubid = 0 OR dep.refobjsubid = found.objsubid))
        OR (found.classid = 'pg_class'::regclass AND found.objsubid = 0 AND dep.refclassid = 'pg_type'::regclass
            AND dep.refobjid IN (SELECT type.oid FROM pg_type AS type
                                 WHERE type.typrelid = found.objid OR type.typelem IN (
                                     SELECT row.oid FROM pg_type AS row WHERE row.typrelid = found.objid)))
    )
    LEFT JOIN pg_rewrite AS rule ON dep.classid = 'pg_rewrite'::regclass AND rule.oid = dep.objid
    WHERE found.level < 100 AND (found.classid, found.objid) IS DISTINCT FROM ('pg_class'::regclass::oid, rule.ev_class)
), objects AS (
    SELECT
        -- In place of a default, the column that has it
        CASE WHEN def.oid IS NULL THEN found.classid ELSE 'pg_class'::regclass::oid END AS classid,
        coalesce(def.adrelid, found.objid) AS objid,
        coalesce(def.adnum, found.objsubid) AS objsubid,
        bool_or(found.goes) AS goes,
        max(found.level) AS level
    FROM found
    LEFT JOIN pg_attrdef AS def ON found.classid = 'pg_attrdef'::regclass AND def.oid = found.objid
    GROUP BY 1, 2, 3
)
SELECT
    CASE
        WHEN att.attnum IS NOT NULL THEN 'generated column'
        WHEN class.relkind = 'v' THEN 'view'
        WHEN class.relkind = 'm' THEN 'materialized view'
        WHEN con.contype = 'c' THEN 'check constraint'
        WHEN con.contype = 'f' THEN 'foreign key'
        WHEN con.oid IS NOT NULL THEN 'constraint'
        WHEN rule.oid IS NOT NULL THEN 'rule'
        WHEN pub.oid IS NOT NULL THEN 'publication'
        WHEN stat.oid IS NOT NULL THEN 'statistics'
        ELSE told.type
    END AS kind,
    CASE
        WHEN pub.oid IS NOT NULL THEN quote_ident(pub.pubname)
        WHEN con.oid IS NOT NULL THEN format('%%I of %%s', con.conname, con.conrelid::regclass)
        WHEN rule.oid IS NOT NULL THEN format('%%I of %%s', rule.rulename, rule.ev_class::regclass)
        WHEN trg.oid IS NOT NULL THEN format('%%I of %%s', trg.tgname, trg.tgrelid::regclass)
        WHEN pol.oid IS NOT NULL THEN format('%%I of %%s', pol.polname, pol.polrelid::regclass)
        ELSE told.identity
    END AS name,
    CASE
        WHEN att.attnum IS NOT NULL THEN
            format('ALTER TABLE %%s DROP COLUMN %%I', objects.objid::regclass, att.attname)
        WHEN class.relkind = 'v' THEN format('DROP VIEW %%s', told.identity)
        WHEN class.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %%s', told.identity)
        WHEN con.oid IS NOT NULL THEN format('ALTER TABLE %%s DROP CONSTRAINT %%I', con.conrelid::regclass, con.conname)
        WHEN rule.oid IS NOT NULL THEN format('DROP RULE %%I ON %%s', rule.rulename, rule.ev_class::regclass)
        WHEN trg.oid IS NOT NULL THEN format('DROP TRIGGER %%I ON %%s', trg.tgname, trg.tgrelid::regclass)
        WHEN pol.oid IS NOT NULL THEN format('DROP POLICY %%I ON %%s', pol.polname, pol.polrelid::regclass)
        WHEN pub.oid IS NOT NULL THEN format('ALTER PUBLICATION %%I DROP TABLE %%s', pub.pubname, rel.prrelid::regclass)
        WHEN stat.oid IS NOT NULL THEN format('DROP STATISTICS %%s', told.identity)
        WHEN objects.classid = 'pg_proc'::regclass THEN format('DROP ROUTINE %%s', told.identity)
        ELSE ''
    END AS drops,
    CASE
        -- With all that a DROP takes along: GRANTs, options, a materialized view's indexes
        WHEN class.relkind = 'v' THEN
            format('SELECT pg_get_viewdef(oid), relacl, reloptions FROM pg_class WHERE oid = %%L::regclass',
                   told.identity)
        WHEN class.relkind = 'm' THEN
            format('SELECT pg_get_viewdef(oid), relacl, reloptions, ARRAY(SELECT pg_get_indexdef(indexrelid) '
                   'FROM pg_index WHERE indrelid = pg_class.oid) AS indexes FROM pg_class WHERE oid = %%L::regclass',
                   told.identity)
        WHEN con.oid IS NOT NULL THEN format('SELECT pg_get_constraintdef(%%s)', con.oid)
        WHEN rule.oid IS NOT NULL THEN format('SELECT pg_get_ruledef(%%s)', rule.oid)
        WHEN trg.oid IS NOT NULL THEN format('SELECT pg_get_triggerdef(%%s)', trg.oid)
        WHEN stat.oid IS NOT NULL THEN format('SELECT pg_get_statisticsobjdef(%%s)', stat.oid)
        WHEN objects.classid = 'pg_proc'::regclass THEN
            format('SELECT pg_get_functiondef(oid), proacl FROM pg_proc WHERE oid = %%L::regprocedure', told.identity)
        ELSE ''
    END AS shows,
    NOT objects.goes AS blocks
FROM objects
CROSS JOIN LATERAL pg_identify_object(objects.classid, objects.objid, objects.objsubid) AS told
LEFT JOIN pg_class AS class
    ON objects.classid = 'pg_class'::regclass AND class.oid = objects.objid
LEFT JOIN pg_attribute AS att
    ON objects.classid = 'pg_class'::regclass AND att.attrelid = objects.objid AND att.attnum = objects.objsubid
    AND att.attnum > 0 AND att.attgenerated <> ''
LEFT JOIN pg_constraint AS con ON objects.classid = 'pg_constraint'::regclass AND con.oid = objects.objid
LEFT JOIN pg_rewrite AS rule ON objects.classid = 'pg_rewrite'::regclass AND rule.oid = objects.objid
LEFT JOIN pg_trigger AS trg ON objects.classid = 'pg_trigger'::regclass AND trg.oid = objects.objid
LEFT JOIN pg_policy AS pol ON objects.classid = 'pg_policy'::regclass AND pol.oid = objects.objid
LEFT JOIN pg_publication_rel AS rel ON objects.classid = 'pg_publication_rel'::regclass AND rel.oid = objects.objid
LEFT JOIN pg_publication AS pub ON pub.oid = rel.prpubid
LEFT JOIN pg_statistic_ext AS stat ON objects.classid = 'pg_statistic_ext'::regclass AND stat.oid = objects.objid
WHERE NOT (objects.classid = 'pg_class'::regclass AND objects.objsubid > 0 AND att.attnum IS NULL)
    AND coalesce(class.relkind NOT IN ('i', 'I', 'S', 't', 'c'), true)
    AND coalesce(con.contype <> 'n' AND con.coninhcount = 0, true)
    AND coalesce(trg.tgparentid = 0 AND NOT trg.tgisinternal, true)
    AND coalesce(att.attinhcount = 0, true)
    AND NOT EXISTS (SELECT FROM mine WHERE objects.classid = 'pg_class'::regclass
                    AND mine.attrelid = objects.objid AND mine.attnum = objects.objsubid)
ORDER BY objects.level DESC, kind, name

-- name: row_type_users
-- Stored columns of other relations that hold whole rows of a table. While they exist, no column's type can be changed.
SELECT format('%%s.%%I', att.attrelid::regclass, att.attname), format('ALTER TABLE %%s DROP COLUMN %%I', att.attrelid::regclass, att.attname)
FROM pg_class AS class
JOIN pg_type AS whole ON whole.oid = class.reltype
JOIN pg_type AS used ON used.oid = whole.oid OR used.oid = whole.typarray OR used.typbasetype = whole.oid
JOIN pg_attribute AS att ON att.atttypid = used.oid AND att.attnum > 0 AND NOT att.attisdropped
JOIN pg_class AS holder ON holder.oid = att.attrelid AND holder.relkind IN ('r', 'm', 'p')
WHERE class.oid = %(oid)s
ORDER BY 1

-- name: inherited_from
-- Tables from which a column of a table is inherited: it can be renamed only there.
SELECT format('%%I.%%I', namespace.nspname, parent.relname)
FROM pg_attribute AS att
JOIN pg_inherits AS heir ON heir.inhrelid = att.attrelid
JOIN pg_class AS parent ON parent.oid = heir.inhparent
JOIN pg_namespace AS namespace ON namespace.oid = parent.relnamespace
WHERE att.attrelid = %(oid)s AND att.attname = %(column)s AND att.attinhcount > 0 AND NOT att.attisdropped
    AND EXISTS (SELECT FROM pg_attribute AS theirs WHERE theirs.attrelid = parent.oid AND theirs.attname = att.attname)
ORDER BY 1

-- name: not_owned
-- Which of a table and its partitions the connected role does not own: name and owner.
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

-- name: owner_of
-- The owner of something that depends on a column, by its kind and its name in SQL; else the owner of the table.
SELECT pg_get_userbyid(coalesce(
    CASE
        WHEN %(kind)s IN ('view', 'materialized view') THEN
            (SELECT relowner FROM pg_class WHERE oid = to_regclass(%(name)s))
        WHEN %(kind)s IN ('function', 'procedure', 'aggregate') THEN
            (SELECT proowner FROM pg_proc WHERE oid = to_regprocedure(%(name)s))
        WHEN %(kind)s = 'publication' THEN
            (SELECT pubowner FROM pg_publication WHERE quote_ident(pubname) = %(name)s)
    END,
    (SELECT relowner FROM pg_class WHERE oid = %(oid)s)
))

-- name: owns_table
-- The owner of a table, and whether a role may change it; NULL if the role does not exist.
SELECT
    pg_get_userbyid(class.relowner),
    (SELECT role.rolsuper OR pg_has_role(role.oid, class.relowner, 'USAGE') FROM pg_roles AS role WHERE role.rolname = %(role)s)
FROM pg_class AS class
WHERE class.oid = %(oid)s

-- name: naming_functions
-- Functions whose source mentions a word: if the body is text, the catalogue does not know what it reads. A parsed body has no
-- source. Functions of extensions are left out.
SELECT proc.oid::regprocedure::text, pg_get_userbyid(proc.proowner)
FROM pg_proc AS proc
JOIN pg_namespace AS space ON space.oid = proc.pronamespace
WHERE proc.prosrc ~* %(word)s
    AND space.nspname <> ALL (ARRAY['pg_catalog', 'information_schema', 'vectrue'])
    AND NOT EXISTS (SELECT FROM pg_depend AS dep WHERE dep.classid = 'pg_proc'::regclass AND dep.objid = proc.oid AND dep.deptype = 'e')
ORDER BY 1

-- name: tree_sizes
-- Bytes and rows of a table with its partitions, counting those that hold rows. `rows`: NULL if one was never analysed, unless it
-- is empty. `spaces`: their tablespaces; 0 is the database's own.
WITH RECURSIVE tree AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT child.inhrelid FROM tree JOIN pg_inherits AS child ON child.inhparent = tree.oid
), leaf AS (
    SELECT class.oid, class.reltuples, class.reltablespace, pg_relation_size(class.oid) AS pages, pg_table_size(class.oid) AS bytes
    FROM tree
    JOIN pg_class AS class ON class.oid = tree.oid
    WHERE class.relkind IN ('r', 'm')
)
SELECT
    CASE WHEN bool_or(bytes IS NULL) THEN NULL ELSE coalesce(sum(bytes), 0)::bigint END AS bytes,
    CASE
        WHEN bool_or(reltuples < 0 AND coalesce(pages, 1) > 0) THEN NULL
        ELSE coalesce(sum(greatest(reltuples, 0)), 0)::bigint
    END AS rows,
    count(*) AS leaves,
    coalesce(array_agg(DISTINCT reltablespace::bigint), '{}') AS spaces
FROM leaf

-- name: where_data_is
-- The server's data directory, if this role may know it, its system identifier, and the tablespace of the database.
SELECT
    (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT CASE WHEN dattablespace = 1663 THEN '' ELSE pg_tablespace_location(dattablespace) END
     FROM pg_database WHERE datname = current_database())
