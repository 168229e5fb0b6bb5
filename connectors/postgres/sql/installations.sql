-- Who set embedsync up in this database, and on which log.
SELECT prefix, system_identifier, timeline, database_oid, database_name, slot, publication, connector, search_path
FROM embedsync.installations
ORDER BY prefix
