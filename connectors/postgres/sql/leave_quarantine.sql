-- Rows leave quarantine: they are missing or stale from now on, and tried again by whatever looks at them.
DELETE FROM vectrue.quarantine
WHERE table_name = %(table)s AND column_name = %(column)s
    AND key IN (SELECT array(SELECT jsonb_array_elements_text(asked.key)) FROM jsonb_array_elements(%(keys)s::jsonb) AS asked (key))
