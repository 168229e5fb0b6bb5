UPDATE vectrue.column_migrations SET frozen = true
WHERE table_name = {table_literal} AND column_name = {column_literal} AND state = 'started' AND NOT offline
