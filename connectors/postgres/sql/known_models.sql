-- The models that were ever wanted, each with the vector columns that want it now. As JSON, because columns that the
-- migrations have not added yet are asked for as well.
SELECT
    to_jsonb(known),
    ARRAY(
        SELECT wanted.table_name || '.' || wanted.column_name FROM vectrue.targets AS wanted
        WHERE wanted.model = known.model ORDER BY 1
    ) AS wanted_in
FROM vectrue.models AS known
ORDER BY known.registered_at, known.model
