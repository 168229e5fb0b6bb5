-- Take the hash away from vectors that are still damaged, so that a replay makes them anew. The vector stays readable
-- until then; in quarantine, where nothing will replace it, the model's name goes too, and no search finds it any more.
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
