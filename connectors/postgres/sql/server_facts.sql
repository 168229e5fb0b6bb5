-- What decides whether this server, this database and this role can be worked with at all.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_database()::text AS database,
    current_user::text AS role,
    pg_is_in_recovery() AS standby,
    current_setting('wal_level') AS wal_level,
    -- On RDS the attribute is never set; membership of rds_replication stands for it.
    self.rolsuper OR self.rolreplication OR EXISTS (
        SELECT FROM pg_roles AS rds WHERE rds.rolname = 'rds_replication' AND pg_has_role(rds.oid, 'MEMBER')
    ) AS may_replicate,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    current_setting('max_slot_wal_keep_size') AS slot_limit,
    (SELECT count(*) FROM pg_replication_slots) < current_setting('max_replication_slots')::integer AS slot_free,
    (SELECT namespace.nspname::text FROM pg_extension AS extension
     JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
     WHERE extension.extname = 'vector') AS vector_schema,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS vector_available,
    EXISTS (SELECT FROM pg_roles WHERE rolname = %(worker)s) AS worker_exists,
    current_setting('server_encoding') AS encoding
FROM pg_roles AS self
WHERE self.rolname = current_user
