-- Slots of this server that belong to other databases, and whether someone reads them.
SELECT slot_name::text, database::text, active FROM pg_replication_slots
WHERE database IS NOT NULL AND database <> current_database()
ORDER BY slot_name
