"""Kafka: topics (what init creates), outbox (chunks and dead letters, acknowledged), offsets (lag, read from outside)."""
