-- Dropped only where it is, so that a second attempt after an interrupted first one works.
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {slot};
SELECT pg_create_logical_replication_slot({slot}, 'pgoutput')
