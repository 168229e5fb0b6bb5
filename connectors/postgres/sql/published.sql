-- Tables that are published, by name; not our own.
SELECT namespace.nspname::text, class.relname::text
FROM pg_publication AS pub
JOIN pg_publication_rel AS rel ON rel.prpubid = pub.oid
JOIN pg_class AS class ON class.oid = rel.prrelid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE pub.pubname = %(publication)s AND namespace.nspname <> 'vectrue'
