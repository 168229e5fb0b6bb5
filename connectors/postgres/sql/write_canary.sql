-- Write the next beat if it is due, whichever worker asks; returns the seconds until the one after it is due.
-- A time in the future is of a clock that was set back since.
WITH written AS (
    INSERT INTO vectrue.canary AS canary (prefix, beat, sent_at)
    VALUES (%(prefix)s, 1, clock_timestamp())
    ON CONFLICT (prefix) DO UPDATE SET beat = canary.beat + 1, sent_at = clock_timestamp()
        WHERE canary.sent_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
            OR canary.sent_at > clock_timestamp()
    RETURNING beat
)
SELECT CASE
    WHEN EXISTS (SELECT FROM written) THEN %(seconds)s
    ELSE (
        SELECT extract(epoch FROM sent_at - clock_timestamp()) + %(seconds)s FROM vectrue.canary
        WHERE prefix = %(prefix)s
    )
END::double precision
