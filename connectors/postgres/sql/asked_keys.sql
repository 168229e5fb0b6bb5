-- Rows by key, as a fragment.
EXISTS (SELECT FROM unnest({key_arrays}) AS our_asked ({key_names}) WHERE {key_match})
