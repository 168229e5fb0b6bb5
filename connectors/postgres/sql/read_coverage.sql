-- What the installation's function counts, in the order of its tables.
SELECT table_name, column_name, model, dimensions, rows, current, missing, stale_text, stale_model, blank, quarantined, unreadable
FROM {function}()
ORDER BY table_name, column_name
