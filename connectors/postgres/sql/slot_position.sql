-- Where the slot stands: what the connector has confirmed, as a number. No line when there is no such slot.
SELECT pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint FROM pg_replication_slots WHERE slot_name = %(slot)s
