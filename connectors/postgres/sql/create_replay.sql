-- A new run.
INSERT INTO embedsync.replays (run, scope, state) VALUES (%(run)s, %(only)s, 'running')
