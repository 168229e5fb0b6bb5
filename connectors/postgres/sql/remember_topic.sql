-- What a topic is now. Lines of another id go: positions in that topic mean nothing in this one.
WITH other AS (
    DELETE FROM vectrue.topics
    WHERE prefix = %(prefix)s AND topic = %(topic)s AND topic_id <> %(topic_id)s AND partition <> ALL(%(partitions)s)
)
INSERT INTO vectrue.topics AS known (prefix, topic, partition, topic_id, handled)
SELECT %(prefix)s, %(topic)s, asked.partition, %(topic_id)s, asked.handled
FROM unnest(%(partitions)s::integer[], %(handled)s::bigint[]) AS asked (partition, handled)
ON CONFLICT (prefix, topic, partition) DO UPDATE SET topic_id = excluded.topic_id, noted_at = clock_timestamp(),
    handled = CASE WHEN known.topic_id = excluded.topic_id THEN greatest(known.handled, excluded.handled)
                   ELSE excluded.handled END
