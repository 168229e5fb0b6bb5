-- Views and rules that read a column. They know it by number, so after a swap they go on reading the old vectors.
SELECT DISTINCT view.oid::regclass::text
FROM pg_attribute AS att
JOIN pg_depend AS dep ON dep.classid = 'pg_rewrite'::regclass AND dep.refclassid = 'pg_class'::regclass
    AND dep.refobjid = att.attrelid AND dep.refobjsubid = att.attnum
JOIN pg_rewrite AS rule ON rule.oid = dep.objid
JOIN pg_class AS view ON view.oid = rule.ev_class
WHERE att.attrelid = %(oid)s AND att.attname = %(column)s
ORDER BY 1
