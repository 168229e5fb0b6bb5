-- Publication, replication slot and origins.

-- name: publication_facts
-- A publication as it is now. to_jsonb hides that the column list is a column of pg_publication_rel only from 15 on.
SELECT
    pub.puballtables,
    pub.pubinsert AND pub.pubupdate AND NOT pub.pubdelete AND NOT pub.pubtruncate AND pub.pubviaroot AS options_right,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'schema', namespace.nspname, 'name', class.relname, 'filtered', to_jsonb(rel) ->> 'prqual' IS NOT NULL,
            'columns', CASE WHEN to_jsonb(rel) ->> 'prattrs' IS NOT NULL THEN (
                SELECT jsonb_agg(att.attname)
                FROM jsonb_array_elements_text(to_jsonb(rel) -> 'prattrs') AS listed (attnum)
                JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = listed.attnum::smallint) END))
        FROM pg_publication_rel AS rel
        JOIN pg_class AS class ON class.oid = rel.prrelid
        JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE rel.prpubid = pub.oid
    ), '[]') AS tables
FROM pg_publication AS pub
WHERE pub.pubname = %(publication)s

-- name: create_slot
SELECT pg_create_logical_replication_slot({slot}, 'pgoutput')

-- name: recreate_slot
-- Dropped only where it is, so that a second attempt after an interrupted first one works.
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {slot};
SELECT pg_create_logical_replication_slot({slot}, 'pgoutput')

-- name: slot
-- The replication slot %(slot)s: one line, or none when it does not exist. Readable by every role.
-- On a standby pg_current_wal_lsn() is an error; its replay position stands in.
SELECT
    slot.active,
    slot.wal_status,
    pg_wal_lsn_diff(position.lsn, slot.confirmed_flush_lsn)::bigint AS unconfirmed_bytes,
    pg_wal_lsn_diff(position.lsn, slot.restart_lsn)::bigint AS retained_bytes,
    slot.safe_wal_size
FROM pg_replication_slots AS slot
CROSS JOIN (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn
) AS position
WHERE slot.slot_name = %(slot)s

-- name: slot_facts
SELECT plugin::text, database::text, wal_status, active FROM pg_replication_slots WHERE slot_name = %(slot)s

-- name: slot_position
-- Where the slot stands: what the connector has confirmed, as a number. No line when there is no such slot.
SELECT pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint FROM pg_replication_slots WHERE slot_name = %(slot)s

-- name: other_slots
-- Slots of this server that belong to other databases, and whether someone reads them.
SELECT slot_name::text, database::text, active FROM pg_replication_slots
WHERE database IS NOT NULL AND database <> current_database()
ORDER BY slot_name

-- name: own_slots
-- Replication slots of this database.
SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()

-- name: origins
SELECT
    (SELECT coalesce(array_agg(roname), '{}') FROM pg_replication_origin) AS names,
    (SELECT has_function_privilege(proc.oid, 'EXECUTE') FROM pg_proc AS proc
     WHERE proc.pronamespace = 'pg_catalog'::regnamespace AND proc.proname = 'pg_replication_origin_create') AS may_create

-- name: foreign_origins
-- What labels writes in this database, or may do so: its subscriptions, and all origins of the server but those of
-- other databases' subscriptions. Which database another origin is used in, Postgres does not know.
SELECT 'subscription', subname::text
FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'replication origin', roname
FROM pg_replication_origin AS origin
WHERE NOT EXISTS (
    SELECT FROM pg_subscription AS subscription
    WHERE roname = 'pg_' || subscription.oid OR roname ~ ('^pg_' || subscription.oid || '_[0-9]+$'))
ORDER BY 1, 2

-- name: origin_census
-- All origins of the server, and how many were ever made, by the statistics: within seconds also those that are gone.
SELECT coalesce(array_agg(roname), '{}'), pg_stat_get_tuples_inserted('pg_replication_origin'::regclass)
FROM pg_replication_origin
