-- What of the schema vectrue belongs to a role that is no superuser: such a role could have put there whatever it likes.
SELECT found.what, owner.rolname::text
FROM (
    SELECT 0 AS place, 'the schema vectrue' AS what, nspowner AS owner FROM pg_namespace WHERE nspname = 'vectrue'
    UNION ALL
    SELECT 1, 'vectrue.' || relname::text, relowner FROM pg_class WHERE relnamespace = to_regnamespace('vectrue')
    UNION ALL
    SELECT 1, 'vectrue.' || proname::text, proowner FROM pg_proc WHERE pronamespace = to_regnamespace('vectrue')
) AS found
JOIN pg_roles AS owner ON owner.oid = found.owner
WHERE NOT owner.rolsuper
ORDER BY found.place, found.what
LIMIT 1
