-- Replication slots of this database.
SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()
