-- What the view of text_view.sql reads: relation and column; no column where it reads whole rows, or none of them. Which of
-- the two the last field says: whether a whole row stands anywhere in the text.
SELECT class.oid, namespace.nspname::text, class.relname::text, att.attname::text,
    rule.ev_action::text LIKE '%:varattno 0 %'
FROM pg_rewrite AS rule
JOIN pg_depend AS dep ON dep.classid = 'pg_rewrite'::regclass AND dep.objid = rule.oid
    AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid <> rule.ev_class
JOIN pg_class AS class ON class.oid = dep.refobjid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = dep.refobjsubid AND dep.refobjsubid > 0
WHERE rule.ev_class = 'pg_temp.our_text'::regclass
ORDER BY 2, 3, 4
