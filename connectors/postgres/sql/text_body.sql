
#variable_conflict use_column
BEGIN
    -- What is wrong with the expression itself is no row's fault.
    PERFORM /* embedsync */ ({text}
        )::text FROM {table} WHERE false;
    BEGIN
        our_text := (SELECT ({text}
            )::text FROM {table} WHERE {table}.tableoid = $1 AND {table}.ctid = $2);
    EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
        IF SQLSTATE LIKE ANY ({not_of_a_row}) THEN
            RAISE;
        END IF;
        our_text := NULL;
        our_condition := SQLSTATE;
    END;
END
