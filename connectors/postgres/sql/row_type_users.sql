-- Stored columns of other relations that hold whole rows of a table: its columns' types cannot be changed meanwhile.
SELECT format('%%s.%%I', att.attrelid::regclass, att.attname), format('ALTER TABLE %%s DROP COLUMN %%I', att.attrelid::regclass, att.attname)
FROM pg_class AS class
JOIN pg_type AS whole ON whole.oid = class.reltype
JOIN pg_type AS used ON used.oid = whole.oid OR used.oid = whole.typarray OR used.typbasetype = whole.oid
JOIN pg_attribute AS att ON att.atttypid = used.oid AND att.attnum > 0 AND NOT att.attisdropped
JOIN pg_class AS holder ON holder.oid = att.attrelid AND holder.relkind IN ('r', 'm', 'p')
WHERE class.oid = %(oid)s
ORDER BY 1
