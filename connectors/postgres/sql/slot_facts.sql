SELECT plugin::text, database::text, wal_status, active FROM pg_replication_slots WHERE slot_name = %(slot)s
