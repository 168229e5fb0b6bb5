INSERT INTO vectrue.installations
    (prefix, system_identifier, timeline, database_oid, database_name, slot, publication, connector, search_path,
     connector_host, connector_port, publication_owner)
VALUES ({values})
ON CONFLICT (prefix) DO UPDATE SET system_identifier = excluded.system_identifier, timeline = excluded.timeline,
    database_oid = excluded.database_oid, database_name = excluded.database_name, slot = excluded.slot,
    publication = excluded.publication, connector = excluded.connector, search_path = excluded.search_path,
    connector_host = excluded.connector_host, connector_port = excluded.connector_port,
    publication_owner = excluded.publication_owner,
    set_up_at = clock_timestamp()
