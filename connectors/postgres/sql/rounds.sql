-- For how long nobody has looked, by the database's clock: since the last look, the last start of a worker that will, or the
-- last `init`, whichever came last. No line where `init` has not recorded the installation.
SELECT asked.what, extract(epoch FROM clock_timestamp() - greatest(
        installed.set_up_at, migrated.at, round.begun_at, round.at, looked.reconciled_at))::double precision,
    round.every_seconds, round.doing
FROM vectrue.installations AS installed
CROSS JOIN (SELECT max(applied_at) AS at FROM vectrue.migrations) AS migrated
CROSS JOIN unnest(%(what)s::text[]) AS asked (what)
LEFT JOIN vectrue.rounds AS round ON round.prefix = installed.prefix AND round.what = asked.what
LEFT JOIN vectrue.keeper AS looked ON looked.prefix = installed.prefix AND asked.what = 'rows'
WHERE installed.prefix = %(prefix)s
ORDER BY asked.what
