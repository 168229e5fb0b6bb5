"""Kafka, in the order of use: security (options of the second client), rights (what must be allowed), client (the
first client, and the one way from its errors to a sentence), topics (what `init` makes), outbox (chunks and dead
letters, acknowledged), dead_letters (read back by `vectrue dlq`), offsets, group and probe (lag, read from outside),
checkup (what `doctor` asks), twin.
"""
