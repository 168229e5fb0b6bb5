-- Whose a publication is; no line where there is none of that name.
SELECT pg_get_userbyid(pubowner)::text FROM pg_publication WHERE pubname = %(publication)s
