-- Everything about a table that decides whether and how it can be kept in step. No line when there is no such relation.
SELECT
    class.oid,
    class.relkind::text,
    class.relpersistence::text,
    class.relreplident::text,
    class.relrowsecurity,
    class.relispartition,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', att.attname, 'type', format_type(att.atttypid, -1),
                                                  'category', typ.typcategory) ORDER BY pos.ord), '[]')
     FROM pg_index AS idx
     CROSS JOIN LATERAL unnest(idx.indkey) WITH ORDINALITY AS pos (attnum, ord)
     JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = pos.attnum
     JOIN pg_type AS typ ON typ.oid = att.atttypid
     WHERE idx.indrelid = class.oid AND idx.indisprimary AND pos.ord <= idx.indnkeyatts) AS primary_key,
    (SELECT coalesce(jsonb_agg(att.attname), '[]')
     FROM pg_index AS idx
     JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = ANY (idx.indkey)
     WHERE idx.indrelid = class.oid AND idx.indisreplident) AS identity_columns,
    (SELECT jsonb_object_agg(att.attname, jsonb_build_object('type', format_type(att.atttypid, -1), 'typmod', att.atttypmod,
                                                              'category', typ.typcategory))
     FROM pg_attribute AS att
     JOIN pg_type AS typ ON typ.oid = att.atttypid
     WHERE att.attrelid = class.oid AND att.attnum > 0 AND NOT att.attisdropped) AS columns,
    (SELECT coalesce(jsonb_agg(trg.tgname ORDER BY trg.tgname), '[]')
     FROM pg_trigger AS trg
     WHERE trg.tgrelid = class.oid AND NOT trg.tgisinternal AND trg.tgenabled IN ('O', 'A')
         AND (trg.tgtype & 16) <> 0) AS update_triggers, -- 16 = TRIGGER_TYPE_UPDATE of pg_trigger.h
    (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = coalesce(%(role)s, current_user)) AS bypasses_rls,
    greatest(class.reltuples, 0)::bigint AS estimated_rows
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = %(schema)s AND class.relname = %(name)s
