-- What is configured, compared with what is there; topics and settings files as they were noted.

-- name: watched
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
        'changed_by', (SELECT (jsonb_agg(changes.xid::text::bigint ORDER BY age(changes.xid)) ->> 0)::bigint
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

-- name: edits
-- Workers that run with other settings than their file says now; of those alone whose connection is still there.
SELECT noted.worker, noted.sentence, noted.fix
FROM vectrue.edited_settings AS noted
JOIN pg_stat_activity AS living ON living.pid = noted.pid AND living.application_name = noted.application
WHERE noted.prefix = %(prefix)s
ORDER BY noted.worker

-- name: note_edit
-- What a worker runs with that its settings file no longer says.
INSERT INTO vectrue.edited_settings (prefix, worker, pid, application, sentence, fix)
VALUES (%(prefix)s, %(worker)s, pg_backend_pid(), current_setting('application_name'), %(sentence)s, %(fix)s)
ON CONFLICT (prefix, worker) DO UPDATE SET pid = excluded.pid, application = excluded.application,
    sentence = excluded.sentence, fix = excluded.fix, noted_at = excluded.noted_at

-- name: noted_topics
-- What is remembered of topics.
SELECT topic, partition, topic_id, handled
FROM vectrue.topics
WHERE prefix = %(prefix)s AND topic = ANY(%(topics)s)
ORDER BY topic, partition

-- name: remember_topic
-- What a topic is now. Lines of another id go: positions in that topic mean nothing in this one.
WITH other AS (
    DELETE FROM vectrue.topics
    WHERE prefix = %(prefix)s AND topic = %(topic)s AND topic_id <> %(topic_id)s AND partition <> ALL(%(partitions)s)
)
INSERT INTO vectrue.topics AS known (prefix, topic, partition, topic_id, handled)
SELECT %(prefix)s, %(topic)s, asked.partition, %(topic_id)s, asked.handled
FROM unnest(%(partitions)s::integer[], %(handled)s::bigint[]) AS asked (partition, handled)
ON CONFLICT (prefix, topic, partition) DO UPDATE SET topic_id = excluded.topic_id, noted_at = clock_timestamp(),
    handled = CASE WHEN known.topic_id = excluded.topic_id THEN greatest(known.handled, excluded.handled)
                   ELSE excluded.handled END

-- name: note_handled
-- Events up to these offsets are handled. In a topic that was made again meanwhile the offsets mean nothing.
INSERT INTO vectrue.topics AS known (prefix, topic, partition, topic_id, handled)
SELECT %(prefix)s, asked.topic, asked.partition, asked.topic_id, asked.handled
FROM unnest(%(topics)s::text[], %(partitions)s::integer[], %(ids)s::text[], %(handled)s::bigint[])
    AS asked (topic, partition, topic_id, handled)
ORDER BY asked.topic, asked.partition
ON CONFLICT (prefix, topic, partition) DO UPDATE
    SET handled = greatest(known.handled, excluded.handled), noted_at = clock_timestamp()
    WHERE known.topic_id = excluded.topic_id

-- name: log_end
-- The end of the log, in bytes. On a standby pg_current_wal_lsn() is an error; its replay position stands in.
SELECT pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::bigint
