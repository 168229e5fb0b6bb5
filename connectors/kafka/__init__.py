"""Kafka, in the order of use: topics (what `init` makes), outbox (chunks and dead letters, acknowledged), dead_letters
(read back by `embedsync dlq`), offsets and probe (lag, read from outside), checkup (what `doctor` asks), twin.
"""
