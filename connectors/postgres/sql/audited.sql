-- Rows with their state and what else is untrue about them, as a fragment; all rows, chosen ones, or a TABLESAMPLE (in a
-- comment no placeholder may stand: it would be filled in). What is found beside the state:
--   wrong_dimension, not_finite, not_unit_length, unknown_model   of a vector that says what it was made from and by what
--   foreign_vector  a vector that is not the one written with its provenance: somebody else put it there
--   no_provenance   a vector that does not say it; in quarantine, where nothing is claimed for it, that is no finding
--   no_vector       provenance of a vector that is not there
-- A length is compared with the one of the model named beside the vector: a vector of the last model is merely stale.
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
        -- No join: it might change the order of the rows.
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
    OFFSET 0 -- likewise for the state
) AS facts
