-- A function with its body as text, under the view, since a view over the tables themselves would forbid the application
-- to change the type of a column or drop it. Runs with the rights of whoever asks,
-- and with the workers' settings (pins.py), since keys in quarantine and texts made of dates are compared as text.
CREATE OR REPLACE FUNCTION {function}() RETURNS TABLE (
    table_name text, column_name text, model text, dimensions integer, rows bigint, current bigint, missing bigint,
    stale_text bigint, stale_model bigint, blank bigint, quarantined bigint, unreadable bigint
) LANGUAGE plpgsql STABLE {settings} AS {body}
