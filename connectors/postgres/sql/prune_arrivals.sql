-- Arrivals older than an hour go, and those of a clock that was set back since.
DELETE FROM vectrue.canary_trail
WHERE prefix = %(prefix)s AND (arrived_at < clock_timestamp() - interval '1 hour' OR sent_at > clock_timestamp())
