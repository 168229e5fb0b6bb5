-- What of the schema embedsync belongs to a role that is no superuser: such a role could have put there whatever it likes.
SELECT found.what, owner.rolname::text
FROM (
    SELECT 0 AS place, 'the schema embedsync' AS what, nspowner AS owner FROM pg_namespace WHERE nspname = 'embedsync'
    UNION ALL
    SELECT 1, 'embedsync.' || relname::text, relowner FROM pg_class WHERE relnamespace = to_regnamespace('embedsync')
    UNION ALL
    SELECT 1, 'embedsync.' || proname::text, proowner FROM pg_proc WHERE pronamespace = to_regnamespace('embedsync')
) AS found
JOIN pg_roles AS owner ON owner.oid = found.owner
WHERE NOT owner.rolsuper
ORDER BY found.place, found.what
LIMIT 1
