-- Which installation this is, on which log.

-- name: register_installation
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

-- name: installations
-- Who set vectrue up in this database, and on which log. to_jsonb hides columns that a later migration adds.
SELECT prefix, system_identifier, timeline, database_oid, database_name, slot, publication, connector, search_path,
    to_jsonb(one) ->> 'connector_host', (to_jsonb(one) ->> 'connector_port')::integer,
    to_jsonb(one) ->> 'publication_owner'
FROM vectrue.installations AS one
ORDER BY prefix

-- name: log_identity
-- Which log this is: offsets and positions of one mean nothing in another. The timeline is that of the log being written.
SELECT
    (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
    CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
         ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer END AS timeline,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database_oid,
    current_database()::text AS database_name

-- name: publication_owner
-- Whose a publication is; no line where there is none of that name.
SELECT pg_get_userbyid(pubowner)::text FROM pg_publication WHERE pubname = %(publication)s

-- name: own_meaning
-- What the session of `init` gives all others: the schemas that it looks for names in, those that the worker's role may use
-- or can be let use, and the settings that a server has by its locale. Temporary objects are looked for last.
-- `visible`: what current_schemas says under the role's own search path; this runs under a guarded one.
SELECT
    (SELECT string_agg(quote_ident(path.name), ', ' ORDER BY path.place)
     FROM (
         SELECT visible.name, visible.place FROM unnest(%(visible)s::text[]) WITH ORDINALITY AS visible (name, place)
         WHERE visible.name !~ '^pg_temp'
             AND (has_schema_privilege(%(role)s, visible.name, 'USAGE')
                  OR has_schema_privilege(visible.name, 'USAGE WITH GRANT OPTION'))
         UNION ALL SELECT 'pg_temp', 1000000
     ) AS path) AS search_path,
    (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name = ANY (%(locale)s)) AS locale
