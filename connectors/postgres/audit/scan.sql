-- Judge every row, and disown vectors that are not true.

-- name: audited
-- Fragment: rows with their state and what else is untrue about them; all rows, chosen ones, or a TABLESAMPLE. (A comment must not
-- contain a placeholder: it would be filled in.) The findings beside the state:
--   wrong_dimension, not_finite, not_unit_length, unknown_model   of a vector with provenance
--   foreign_vector  not the vector that was written with the provenance
--   no_provenance   a vector without provenance; in quarantine, where nothing is claimed, it is not a finding
--   no_vector       provenance without a vector
-- The length is compared with that of the model named beside the vector: a vector of the last model is only stale.
SELECT
    facts.*,
    array_remove(ARRAY[
        CASE WHEN facts.claims AND facts.dimensions <> coalesce(facts.known_dimensions, facts.wanted_dimensions)
            THEN 'wrong_dimension' END,
        CASE WHEN facts.claims AND facts.norm IN ('NaN', 'Infinity') THEN 'not_finite' END,
        CASE WHEN facts.claims AND facts.norm NOT IN ('NaN', 'Infinity') AND abs(facts.norm - 1) > %(tolerance)s
            THEN 'not_unit_length' END,
        CASE WHEN facts.claims AND facts.stored_model <> facts.wanted_model AND facts.known_dimensions IS NULL
            THEN 'unknown_model' END,
        CASE WHEN facts.claims AND NOT facts.tied THEN 'foreign_vector' END,
        CASE WHEN facts.vector AND NOT facts.claims AND facts.state <> 'quarantined' THEN 'no_provenance' END,
        CASE WHEN NOT facts.vector AND (facts.stored_hash IS NOT NULL OR facts.stored_model IS NOT NULL)
            THEN 'no_vector' END
    ], NULL) AS findings
FROM (
    SELECT
        doc.*,
        doc.vector AND doc.stored_hash IS NOT NULL AND doc.stored_model IS NOT NULL AS claims,
        wanted.model AS wanted_model,
        wanted.dimensions AS wanted_dimensions,
        -- Not a join, which might change the order of the rows.
        (SELECT known.dimensions FROM vectrue.models AS known WHERE known.model = doc.stored_model) AS known_dimensions,
        {row_state} AS state
    FROM (
        SELECT
            {keys_as_asked},
            {vectors}.vector_dims({column}) AS dimensions,
            {vectors}.vector_norm({column}) AS norm,
            {recent} AS recent, -- as the caller defines it
            {doc}
        FROM {table} {sample}{tried}
        WHERE {chosen}
        {order}
        OFFSET 0 -- keeps the planner from evaluating text and norm once per use above
    ) AS doc
    CROSS JOIN (SELECT %(model)s::text AS model, %(dimensions)s::integer AS dimensions) AS wanted
    OFFSET 0 -- the same for the state
) AS facts

-- name: recent
-- Fragment: rows written by a transaction that was not over at the horizon. A row has 32 bits of the id. An id from the horizon
-- on is less than 2^31 behind the next one; a row that was frozen long ago may look like that too. The ids are only compared,
-- since a row may have the id of a subtransaction, which no snapshot has.
(({table}.xmin::text::bigint - %(horizon)s) & 4294967295)
    < pg_snapshot_xmax(pg_current_snapshot())::text::bigint - %(horizon)s

-- name: audit_rows
-- Rows by state and findings, counted in one scan, with the keys of some of each kind.
SELECT placed.state, placed.findings, count(*), jsonb_agg(placed.key) FILTER (WHERE placed.place <= %(samples)s)
FROM (
    SELECT audited.key, audited.state, audited.findings,
        row_number() OVER (PARTITION BY audited.state, audited.findings) AS place
    FROM ({audited}) AS audited
) AS placed
GROUP BY placed.state, placed.findings

-- name: current_keys
-- Keys of rows that count as current: all of them, or a uniform sample of the table.
SELECT audited.key FROM ({audited}) AS audited WHERE audited.state = 'current' LIMIT %(limit)s

-- name: damaged_keys
-- Keys of rows that a replay would skip, although their provenance is untrue.
SELECT audited.key
FROM ({audited}) AS audited
WHERE (audited.state IN ('current', 'quarantined') OR 'foreign_vector' = ANY (audited.findings))
    AND cardinality(audited.findings) > 0
LIMIT %(limit)s

-- name: disown_damaged
-- Delete the hash of vectors that are still damaged, so that a replay embeds the rows again. The vector stays readable until
-- then. In quarantine nothing will replace it, so the model's name is deleted too, and no search finds it.
UPDATE {table}
SET {hash_column} = NULL,
    {model_column} = CASE WHEN our_asked.state = 'quarantined' THEN NULL ELSE {table}.{model_column} END
FROM (
    SELECT * FROM ({audited}) AS audited
    WHERE (audited.state IN ('current', 'quarantined') OR 'foreign_vector' = ANY (audited.findings))
        AND cardinality(audited.findings) > 0
) AS our_asked
WHERE {key_match}
RETURNING our_asked.key

-- name: disown_vectors
-- Delete the hash of vectors that were found untrue, as long as they are the same vectors.
UPDATE {table}
SET {hash_column} = NULL
FROM unnest({key_arrays}, %(digests)s::bytea[]) AS our_asked ({key_names}, our_digest)
WHERE {key_match} AND sha256({vectors}.vector_send({column})) = our_asked.our_digest AND {hash_column} IS NOT NULL
RETURNING 1

-- name: asked_vectors
-- Text and vector of rows in a state, read in one statement. One line per key whose row still has that state.
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

-- name: key_order
-- Fragment: in the order of the primary key.
ORDER BY {keys}

-- name: sample_order
-- Fragment: in an order that has nothing to do with the rows, and is the same for the same seed.
ORDER BY hashtextextended(ARRAY[{keys_as_text}]::text, %(seed)s)
