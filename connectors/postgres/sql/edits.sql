-- Workers that run with other settings than their file says now; of those alone whose connection is still there.
SELECT noted.worker, noted.sentence, noted.fix
FROM vectrue.edited_settings AS noted
JOIN pg_stat_activity AS living ON living.pid = noted.pid AND living.application_name = noted.application
WHERE noted.prefix = %(prefix)s
ORDER BY noted.worker
