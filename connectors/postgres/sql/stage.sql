-- Where vectors wait, within a transaction, for the UPDATE that writes them. The column's own type and length.
CREATE TEMPORARY TABLE {stage} ON COMMIT DELETE ROWS AS
SELECT 0 AS our_ord, {column} AS our_vector FROM {table} WITH NO DATA
