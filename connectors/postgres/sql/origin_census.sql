-- All origins of the server, and how many were ever made, by the statistics: within seconds also those that are gone.
SELECT coalesce(array_agg(roname), '{}'), pg_stat_get_tuples_inserted('pg_replication_origin'::regclass)
FROM pg_replication_origin
