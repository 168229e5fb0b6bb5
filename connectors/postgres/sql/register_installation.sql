INSERT INTO embedsync.installations
    (prefix, system_identifier, timeline, database_oid, database_name, slot, publication, connector, search_path)
VALUES ({values})
ON CONFLICT (prefix) DO UPDATE SET system_identifier = excluded.system_identifier, timeline = excluded.timeline,
    database_oid = excluded.database_oid, database_name = excluded.database_name, slot = excluded.slot,
    publication = excluded.publication, connector = excluded.connector, search_path = excluded.search_path,
    set_up_at = clock_timestamp()
