"""Kafka: clients, topics, offsets, and records that leave the pipeline.

client        a client, and what its errors are for us
topics        the topics that init makes
security      librdkafka's security options as Faust's client understands them
rights        which rights in Kafka, for whom, and are they there
outbox        chunks and dead letters, acknowledged before it returns
dead_letters  the dead-letter topic, read and shortened
offsets       where groups stand, read from outside
group         a group and its members, as its broker describes it
probe         the record that waits, for its age
checkup       doctor: topics and workers
"""
