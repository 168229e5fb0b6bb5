-- One column's line of the counting function. The guarded count takes longer, so it is made where a row's text raises.
BEGIN
    RETURN QUERY {plain};
EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
    IF SQLSTATE LIKE ANY ({not_of_a_row}) THEN
        RAISE;
    END IF;
    RETURN QUERY {guarded};
END;
