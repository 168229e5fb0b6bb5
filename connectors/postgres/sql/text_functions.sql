-- The functions that evaluate texts row by row, and what each is made of.
SELECT proc.proname::text, proc.prosrc
FROM pg_proc AS proc
WHERE proc.pronamespace = to_regnamespace('vectrue') AND proc.proname ~ '^text_[0-9a-f]{24}$'
