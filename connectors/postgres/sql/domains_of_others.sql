-- Where this session is a superuser's: a domain whose CHECK calls a function that belongs to none, and whose that is. The parser
-- calls it when it makes a value of a quoted array, composite or range of that domain.
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
