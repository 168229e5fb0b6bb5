-- Whose a table is, and whether a role may change it; NULL where there is no such role.
SELECT
    pg_get_userbyid(class.relowner),
    (SELECT role.rolsuper OR pg_has_role(role.oid, class.relowner, 'USAGE') FROM pg_roles AS role WHERE role.rolname = %(role)s)
FROM pg_class AS class
WHERE class.oid = %(oid)s
