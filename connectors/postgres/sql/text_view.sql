-- A view of the text alone, made and rolled back, so that the catalogue tells which columns it reads.
CREATE TEMPORARY VIEW our_text AS
SELECT ({text}
    )::text AS text FROM {table}
