-- Keys as the database writes them, in the order asked; a value that is none of the column's type is an error.
SELECT ARRAY[{key_texts}]
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
ORDER BY our_asked.our_ord
