-- Whether there is a table of this schema and name.
SELECT EXISTS (
    SELECT FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname = %s AND class.relname = %s)
