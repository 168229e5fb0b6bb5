-- Text and vector of rows that have a state, read in one statement. One line per key whose row still has it.
SELECT our_asked.our_ord::integer, found.text, found.numbers, found.digest
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
CROSS JOIN LATERAL (
    SELECT left(doc.text, {shown_within}) AS text, doc.numbers, doc.digest
    FROM (
        SELECT
            {column}::real[] AS numbers,
            sha256({vectors}.vector_send({column})) AS digest,
            {doc}
        FROM {table}{tried}
        WHERE {key_match} AND {chosen}
        OFFSET 0 -- keeps the planner from evaluating the text once per column above
    ) AS doc
    CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
    WHERE {row_state} = %(state)s
) AS found
