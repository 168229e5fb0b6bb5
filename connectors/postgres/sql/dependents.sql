-- What depends on columns of a table or of its partitions, and what depends on that in turn: the last to go comes first.
-- Indexes and not-null constraints are left out. `goes`: it goes with the column without a word.
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
        -- A default stands for its column.
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
        -- With what else a DROP takes along: GRANTs, options, a materialized view's indexes.
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
