-- Where a role is a superuser: a function of this database that belongs to none, and whose it is. A count may come upon any
-- of them: in a text, in an index, in a domain, in a view.
SELECT proc.oid::regprocedure::text, owner.rolname::text
FROM pg_proc AS proc
JOIN pg_roles AS owner ON owner.oid = proc.proowner
WHERE NOT owner.rolsuper AND EXISTS (SELECT FROM pg_roles AS reader WHERE reader.rolname = %(role)s AND reader.rolsuper)
ORDER BY 1
LIMIT 1
