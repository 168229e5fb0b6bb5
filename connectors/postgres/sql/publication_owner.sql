SELECT pg_get_userbyid(pubowner)::text FROM pg_publication WHERE pubname = %(publication)s
