-- How far a column is enumerated; moves in the transaction that adds the chunks, if nobody else moved it meanwhile.
UPDATE vectrue.replay_scopes
SET cursor_key = coalesce(%(cursor)s, cursor_key), enumerated = %(enumerated)s
WHERE run = %(run)s AND table_name = %(table)s AND column_name = %(column)s
    AND NOT enumerated AND cursor_key IS NOT DISTINCT FROM %(before)s::text[]
