-- Vectors of which nothing says what they were made from, or by what, as a fragment.
{table}.{column} IS NOT NULL AND {table}.{hash_column} IS NULL AND {table}.{model_column} IS NULL
