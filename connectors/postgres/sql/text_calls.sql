-- What the view of text_view.sql calls that is not immutable, and whether that makes its text another one although the row
-- is the same: volatile functions, those without an argument that could be the row's, and what is about time and session.
-- From the stored query itself, since the catalogue keeps no dependency on functions that came with the server.
WITH stored AS (
    SELECT rule.ev_action::text AS query FROM pg_rewrite AS rule WHERE rule.ev_class = 'pg_temp.our_text'::regclass
), called AS (
    SELECT DISTINCT found[1]::oid AS oid
    FROM stored CROSS JOIN regexp_matches(query, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS found
)
SELECT
    proc.oid::regprocedure::text,
    proc.provolatile = 'v' OR proc.pronargs = 0 OR (
        proc.pronamespace = 'pg_catalog'::regnamespace
        AND (proc.proname = 'current_setting' OR (proc.proname = 'age' AND proc.pronargs = 1))
    )
FROM called JOIN pg_proc AS proc USING (oid)
WHERE proc.provolatile <> 'i'
UNION ALL
SELECT 'the time or the session (CURRENT_...)', true FROM stored WHERE query LIKE '%{{SQLVALUEFUNCTION %'
UNION ALL
SELECT 'a system column', true FROM stored WHERE query ~ ':varattno -[1-5]\M' -- but for tableoid
UNION ALL
-- The parser makes a moment of the word, a new one each time.
SELECT 'a word for the time (''now'', ''today'')', true FROM stored
WHERE query ~ ':consttype (?:1082|1083|1114|1184|1266)\M' -- date, time, timestamp, timestamptz, timetz
    AND {text_literal} ~* E'''\\s*(?:now|today|tomorrow|yesterday)\\M'
ORDER BY 1
