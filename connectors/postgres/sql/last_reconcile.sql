-- Seconds since the last reconcile of any worker, by the database's clock; NULL or no line: look at once.
SELECT extract(epoch FROM clock_timestamp() - reconciled_at)::double precision
FROM vectrue.keeper WHERE prefix = %(prefix)s
