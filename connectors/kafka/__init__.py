"""Kafka: clients, topics, offsets, and records that leave the pipeline.

client        how each client is opened, and a topic that does not answer is examined
errors        the one way from Kafka's errors to ours
topics        the topics that init makes
security      librdkafka's security options as Faust's client understands them
rights        which rights in Kafka, and who needs each
acls          rights, asked for and granted
outbox        chunks and dead letters, acknowledged before it returns
dead_letters  the dead-letter topic, read and shortened
offsets       where groups stand, read from outside
admin         an admin client that is renewed when it hangs
commits       offsets that groups committed, asked and set
lag_rows      the broker's answers, put together to a report's rows
group         a group and its members, as its broker describes it
probe         the record that waits, for its age
checkup       doctor: topics and workers
"""
