
#variable_conflict use_column
BEGIN
    BEGIN
        our_text := (SELECT ({text}
            )::text FROM {table} WHERE {table}.tableoid = $1 AND {table}.ctid = $2);
    EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
        IF SQLSTATE LIKE ANY ({not_of_a_row}) THEN
            RAISE;
        END IF;
        -- What is wrong with the expression itself is no row's fault: then this raises it again.
        PERFORM /* embedsync */ ({text}
            )::text FROM {table} WHERE false;
        our_text := NULL;
        our_condition := SQLSTATE;
    END;
END
