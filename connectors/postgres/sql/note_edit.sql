-- What a worker runs with that its settings file no longer says.
INSERT INTO vectrue.edited_settings (prefix, worker, pid, application, sentence, fix)
VALUES (%(prefix)s, %(worker)s, pg_backend_pid(), current_setting('application_name'), %(sentence)s, %(fix)s)
ON CONFLICT (prefix, worker) DO UPDATE SET pid = excluded.pid, application = excluded.application,
    sentence = excluded.sentence, fix = excluded.fix, noted_at = excluded.noted_at
