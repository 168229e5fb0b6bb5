-- Everything configured, as it is there. Read every few seconds by every worker: the catalogue only, and no function that
-- takes a lock on a table, so that it never waits for DDL. to_jsonb hides that the column list is a column of
-- pg_publication_rel only from 15 on.
SELECT
    current_user::text,
    current_database()::text,
    (SELECT jsonb_agg(jsonb_build_object(
        'schema', asked.schema, 'name', asked.name, 'oid', class.oid::bigint, 'kind', class.relkind,
        'persistence', class.relpersistence, 'hides_rows', coalesce(row_security_active(class.oid), false),
        'identity', CASE
            WHEN class.relreplident = 'i' AND NOT EXISTS (
                SELECT FROM pg_index AS idx WHERE idx.indrelid = class.oid AND idx.indisreplident) THEN 'lost'
            WHEN class.relkind = 'p' THEN coalesce(parts.identity, 'd')
            ELSE class.relreplident::text END,
        'key', coalesce(keys.columns, '[]'), 'key_usable', coalesce(keys.usable, true),
        'changed_by', (SELECT (jsonb_agg(changes.xid::text::bigint ORDER BY age(changes.xid)) -> 0)::bigint
            FROM (SELECT class.xmin AS xid
                  UNION ALL SELECT idx.xmin FROM pg_index AS idx WHERE idx.indrelid = class.oid AND idx.indisprimary
                  UNION ALL SELECT att.xmin FROM pg_index AS idx
                      JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = ANY (idx.indkey)
                      WHERE idx.indrelid = class.oid AND idx.indisprimary) AS changes),
        'columns', (SELECT coalesce(jsonb_object_agg(att.attname, format_type(att.atttypid, att.atttypmod)), '{}')
            FROM pg_attribute AS att
            WHERE att.attrelid = class.oid AND att.attnum > 0 AND NOT att.attisdropped
                AND att.attname = ANY (%(columns)s)),
        'published', pub.puballtables OR rel.prrelid IS NOT NULL,
        'filtered', to_jsonb(rel) ->> 'prqual' IS NOT NULL,
        'listed', CASE WHEN to_jsonb(rel) ->> 'prattrs' IS NOT NULL THEN (
            SELECT jsonb_agg(att.attname)
            FROM jsonb_array_elements_text(to_jsonb(rel) -> 'prattrs') AS listed (attnum)
            JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = listed.attnum::smallint) END)
        ORDER BY asked.ord)
     FROM unnest(%(schemas)s::text[], %(names)s::text[]) WITH ORDINALITY AS asked (schema, name, ord)
     LEFT JOIN (pg_namespace AS namespace JOIN pg_class AS class ON class.relnamespace = namespace.oid)
         ON namespace.nspname = asked.schema AND class.relname = asked.name
     LEFT JOIN pg_publication AS pub ON pub.pubname = %(publication)s
     LEFT JOIN pg_publication_rel AS rel ON rel.prpubid = pub.oid AND rel.prrelid = class.oid
     LEFT JOIN LATERAL (
         SELECT jsonb_agg(jsonb_build_object('name', att.attname, 'type', format_type(att.atttypid, -1),
                    'category', typ.typcategory, 'base', format_type(coalesce(nullif(typ.typbasetype, 0), typ.oid), NULL))
                    ORDER BY pos.ord) AS columns,
                bool_and(idx.indimmediate) AS usable
         FROM pg_index AS idx
         CROSS JOIN LATERAL unnest(idx.indkey) WITH ORDINALITY AS pos (attnum, ord)
         JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = pos.attnum
         JOIN pg_type AS typ ON typ.oid = att.atttypid
         WHERE idx.indrelid = class.oid AND idx.indisprimary AND pos.ord <= idx.indnkeyatts) AS keys ON true
     LEFT JOIN LATERAL (
         WITH RECURSIVE tree (oid) AS (
             SELECT inh.inhrelid FROM pg_inherits AS inh WHERE inh.inhparent = class.oid
             UNION ALL SELECT inh.inhrelid FROM tree JOIN pg_inherits AS inh ON inh.inhparent = tree.oid)
         SELECT min(leaf.relreplident::text) FILTER (WHERE leaf.relreplident = 'n') AS identity
         FROM tree JOIN pg_class AS leaf ON leaf.oid = tree.oid
         WHERE leaf.relkind <> 'p') AS parts ON class.relkind = 'p'),
    (SELECT jsonb_build_object('changes', pub.pubinsert AND pub.pubupdate, 'through_root', pub.pubviaroot, 'members', coalesce((
        SELECT jsonb_agg(jsonb_build_array(namespace.nspname, class.relname) ORDER BY namespace.nspname, class.relname)
        FROM pg_publication_rel AS rel
        JOIN pg_class AS class ON class.oid = rel.prrelid
        JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE rel.prpubid = pub.oid), '[]'))
     FROM pg_publication AS pub WHERE pub.pubname = %(publication)s),
    (SELECT jsonb_build_array(plugin, database, wal_status) FROM pg_replication_slots WHERE slot_name = %(slot)s)
