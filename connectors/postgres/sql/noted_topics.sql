-- What is remembered of topics.
SELECT topic, partition, topic_id, handled
FROM vectrue.topics
WHERE prefix = %(prefix)s AND topic = ANY(%(topics)s)
ORDER BY topic, partition
