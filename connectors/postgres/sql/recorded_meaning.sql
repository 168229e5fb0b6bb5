-- What the session of `init` had, by prefix; where no prefix is asked for, what all installations have in common.
SELECT search_path, locale FROM vectrue.installations WHERE %(prefix)s IS NULL OR prefix = %(prefix)s
GROUP BY search_path, locale
