-- `--where` a second time, in another place than the enumeration has it: text that closes a bracket it did not open, to
-- become more than one condition, fits one of the two at most.
EXPLAIN SELECT FROM {table} WHERE CASE WHEN {where}
    THEN true END
