-- What triggers of the table, before and after the write, have made of rows just written: whether text and vector are still as
-- they were asked to be, and the hash of the text as it is now. Without a hash there was to be no text, and without a digest no
-- vector. A table without such triggers is not read.
SELECT our_asked.our_ord,
    CASE WHEN our_asked.our_hash IS NULL THEN coalesce(left(our_now.our_text, {blank_within}) !~ {not_blank}, true)
    ELSE our_now.our_text_hash IS NOT DISTINCT FROM our_asked.our_hash END,
    vectrue.vector_digest({column}) IS NOT DISTINCT FROM our_asked.our_digest,
    our_now.our_text_hash
FROM unnest({key_arrays}, %(ords)s::integer[], %(hashes)s::bytea[], %(digests)s::bytea[])
    AS our_asked ({key_names}, our_ord, our_hash, our_digest)
JOIN {table} ON {key_match}
CROSS JOIN LATERAL (
    SELECT our_made.our_text, sha256(convert_to(our_made.our_text, 'UTF8')) AS our_text_hash
    FROM (
        SELECT ({text}
        )::text AS our_text
        OFFSET 0 -- keeps the planner from evaluating the text once per use
    ) AS our_made
    OFFSET 0
) AS our_now
WHERE EXISTS (
    SELECT FROM pg_trigger AS our_trigger
    WHERE NOT our_trigger.tgisinternal AND our_trigger.tgtype & 16 <> 0 -- 16 = TRIGGER_TYPE_UPDATE of pg_trigger.h
        AND our_trigger.tgrelid IN (
            SELECT %(relation)s::regclass UNION ALL SELECT relid FROM pg_partition_tree(%(relation)s::regclass)
        )
)
