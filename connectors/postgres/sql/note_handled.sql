-- Events up to these offsets are handled. In a topic that was made again meanwhile the offsets mean nothing.
INSERT INTO vectrue.topics AS known (prefix, topic, partition, topic_id, handled)
SELECT %(prefix)s, asked.topic, asked.partition, asked.topic_id, asked.handled
FROM unnest(%(topics)s::text[], %(partitions)s::integer[], %(ids)s::text[], %(handled)s::bigint[])
    AS asked (topic, partition, topic_id, handled)
ORDER BY asked.topic, asked.partition
ON CONFLICT (prefix, topic, partition) DO UPDATE
    SET handled = greatest(known.handled, excluded.handled), noted_at = clock_timestamp()
    WHERE known.topic_id = excluded.topic_id
