-- A write waits for a lock for less than deadlock_timeout: in a deadlock between a trigger of the table and the
-- application, it is then the worker that gives way, before the server looks for somebody to abort.
SELECT set_config('lock_timeout', greatest(1, least(%(wanted)s, setting::integer / 2))::text || 'ms', false)
FROM pg_settings
WHERE name = 'deadlock_timeout'
