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
