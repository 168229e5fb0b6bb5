-- Searches that were kept long enough, with their feedback; some of them, so that nothing is held up.
DELETE FROM vectrue.queries
WHERE id IN (
    SELECT id FROM vectrue.queries
    WHERE at < clock_timestamp() - make_interval(secs => %(seconds)s) ORDER BY at LIMIT %(limit)s
)
