SELECT namespace.nspname::text, class.relname::text,
    array_agg(att.attname::text ORDER BY att.attnum)
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum > 0 AND NOT att.attisdropped
WHERE class.oid = %(oid)s
GROUP BY 1, 2
