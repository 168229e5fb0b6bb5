-- Only the newest figures of a table are kept.
DELETE FROM vectrue.quality_runs
WHERE table_name = %(table)s AND id <= (
    SELECT id FROM vectrue.quality_runs WHERE table_name = %(table)s ORDER BY id DESC OFFSET %(keep)s LIMIT 1
)
