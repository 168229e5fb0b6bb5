"""What travels through Kafka: change events, replay chunks, dead letters.

record        a Kafka record, free of any client
change        a Debezium envelope, read down to a hint
chunk         a chunk of a replay run, and a deferred row
chunk_ledger  what a worker writes to the ledger about a chunk
dead_letter   an event that can never be handled, and what was said of it
log_identity  which log an offset belongs to
too_large     an event that was too large, told by its words
"""
