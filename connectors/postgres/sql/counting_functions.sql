-- The functions under the view vectrue.coverage: one for each installation, each with its body and settings.
SELECT proc.proname::text, proc.prosrc, coalesce(proc.proconfig, '{}')
FROM pg_proc AS proc
WHERE proc.pronamespace = to_regnamespace('vectrue') AND proc.pronargs = 0
    AND (proc.proname = 'count_rows' OR proc.proname LIKE 'count\_rows\_%')
ORDER BY proc.proname
