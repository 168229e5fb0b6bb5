-- A write like any other, to be taken back: whether the table takes it. The vector is another row's, or none.
UPDATE {table}
SET {column} = {vector}, {hash_column} = sha256(''), {model_column} = %(model)s, {time_column} = clock_timestamp(),
    {digest_column} = sha256('')
FROM unnest({key_arrays}) AS our_asked ({key_names})
WHERE {key_match}
RETURNING true
