UPDATE vectrue.column_migrations
SET state = {state},
    swapped_at = CASE {state} WHEN 'swapped' THEN now() WHEN 'started' THEN NULL ELSE swapped_at END,
    ended_at = CASE WHEN {state} IN ('finished', 'rolled_back') THEN now() END
WHERE table_name = {table_literal} AND column_name = {column_literal} AND state IN ('started', 'swapped')
