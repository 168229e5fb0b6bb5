UPDATE vectrue.targets SET frozen = {frozen}
WHERE table_name = {table_literal} AND column_name = {column_literal}
