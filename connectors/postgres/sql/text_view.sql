-- A view of the text alone, made and rolled back, so that the catalogue tells which columns it reads. As a condition, since
-- that is where a write has it: what makes several rows of one, or one of several, is refused there.
CREATE TEMPORARY VIEW our_text AS
SELECT 1 AS one FROM {table} WHERE (({text}
    )::text) IS NULL
