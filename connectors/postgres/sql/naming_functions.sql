-- Functions whose source, kept as text, mentions a word: nothing in the catalogue tells what they read. A parsed body has no
-- source, and what an extension brought is left out.
SELECT proc.oid::regprocedure::text, pg_get_userbyid(proc.proowner)
FROM pg_proc AS proc
JOIN pg_namespace AS space ON space.oid = proc.pronamespace
WHERE proc.prosrc ~* %(word)s
    AND space.nspname <> ALL (ARRAY['pg_catalog', 'information_schema', 'vectrue'])
    AND NOT EXISTS (SELECT FROM pg_depend AS dep WHERE dep.classid = 'pg_proc'::regclass AND dep.objid = proc.oid AND dep.deptype = 'e')
ORDER BY 1
