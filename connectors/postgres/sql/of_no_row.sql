-- In a handler: whether what is caught says nothing about any row, as a fragment; `conditions.is_of_a_row` is the same rule.
-- What a function of the application raises by itself does, whatever condition it calls that: then RAISE stands innermost.
SQLSTATE LIKE ANY ({not_of_a_row}) AND split_part(our_where, E'\n', 1) !~ E'\\mRAISE\\M'
