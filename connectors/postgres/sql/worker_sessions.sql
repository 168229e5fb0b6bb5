-- Sessions in which workers read and write rows; ids and names are shown to every role.
SELECT pid, application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN ('vectrue live', 'vectrue replay')
