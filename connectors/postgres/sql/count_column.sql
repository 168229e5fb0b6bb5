INSERT INTO vectrue.counted (prefix, table_name, column_name, query) VALUES ({values})
