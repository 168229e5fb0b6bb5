-- What is kept about a column whose table is gone.
DELETE FROM vectrue.targets WHERE table_name = {table_literal} AND column_name = {column_literal};
DELETE FROM vectrue.quarantine WHERE table_name = {table_literal} AND column_name = {column_literal}
