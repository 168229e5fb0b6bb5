
#variable_conflict use_column
DECLARE
    our_where text;
BEGIN
    BEGIN
        our_text := (SELECT ({text}
            )::text FROM {table} WHERE {table}.tableoid = $1 AND {table}.ctid = $2);
    EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
        GET STACKED DIAGNOSTICS our_where = PG_EXCEPTION_CONTEXT;
        IF {of_no_row} THEN
            RAISE;
        END IF;
        -- What is wrong with the expression itself is no row's fault: then this raises it again.
        PERFORM /* vectrue */ ({text}
            )::text FROM {table} WHERE false;
        our_text := NULL;
        our_condition := SQLSTATE;
    END;
END
