-- All rows of the table were looked at, unless somebody has asked again meanwhile.
DELETE FROM vectrue.looks WHERE prefix = %(prefix)s AND table_name = %(table)s AND asked_at <= %(asked_at)s
