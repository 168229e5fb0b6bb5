-- What counts rows in the database.

-- name: counted
-- The vector columns that installations keep, and the query that counts each.
SELECT prefix, table_name, column_name, query FROM vectrue.counted ORDER BY prefix, table_name, column_name

-- name: counting_functions
-- The functions under the view vectrue.coverage: one for each installation, each with its body and settings.
SELECT proc.proname::text, proc.prosrc, coalesce(proc.proconfig, '{}')
FROM pg_proc AS proc
WHERE proc.pronamespace = to_regnamespace('vectrue') AND proc.pronargs = 0
    AND (proc.proname = 'count_rows' OR proc.proname LIKE 'count\_rows\_%')
ORDER BY proc.proname

-- name: create_coverage
-- A function with its body as text, under the view, since a view over the tables themselves would forbid the application
-- to change the type of a column or drop it. Runs with the rights of the role that asks,
-- and with the workers' settings (pins.py), since keys in quarantine and texts made of dates are compared as text.
CREATE OR REPLACE FUNCTION {function}() RETURNS TABLE (
    table_name text, column_name text, model text, dimensions integer, rows bigint, current bigint, missing bigint,
    stale_text bigint, stale_model bigint, blank bigint, quarantined bigint, unreadable bigint
) LANGUAGE plpgsql STABLE {settings} AS {body}

-- name: count_column
INSERT INTO vectrue.counted (prefix, table_name, column_name, query) VALUES ({values})

-- name: count_block
-- One column's line of the counting function. The guarded count takes longer, so it is made where a row's text raises.
DECLARE our_where text;
BEGIN
    RETURN QUERY {plain};
EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
    GET STACKED DIAGNOSTICS our_where = PG_EXCEPTION_CONTEXT;
    IF {of_no_row} THEN
        RAISE;
    END IF;
    RETURN QUERY {guarded};
END;
