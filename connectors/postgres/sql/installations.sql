-- Who set vectrue up in this database, and on which log. to_jsonb hides columns that a later migration adds.
SELECT prefix, system_identifier, timeline, database_oid, database_name, slot, publication, connector, search_path,
    to_jsonb(one) ->> 'connector_host', (to_jsonb(one) ->> 'connector_port')::integer,
    to_jsonb(one) ->> 'publication_owner'
FROM vectrue.installations AS one
ORDER BY prefix
