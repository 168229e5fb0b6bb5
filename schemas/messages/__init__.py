"""What travels through Kafka: change events, replay chunks, dead letters.

record        a Kafka record, free of any client
change        a Debezium envelope, read down to a hint
chunk         a replay message, a deferred row, an advance of the ledger
dead_letter   an event that can never be handled, and what was said of it
log_identity  which log an offset belongs to
too_large     an event that was too large, told by its words
"""
