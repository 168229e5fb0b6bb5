-- The ledger's side of a chunk's transaction. Touches nothing when the chunk is not where the writer thinks it is.
UPDATE vectrue.replay_chunks
SET done_keys = done_keys + %(handled)s,
    embedded = embedded + %(embedded)s,
    cleared = cleared + %(cleared)s,
    current = current + %(current)s,
    blank = blank + %(blank)s,
    gone = gone + %(gone)s,
    changed = changed + %(changed)s,
    deferred = deferred + %(deferred)s,
    quarantined = quarantined + %(quarantined)s,
    failed = failed + %(failed)s,
    obsolete = obsolete + %(obsolete)s,
    busy_seconds = busy_seconds + %(seconds)s,
    done_at = CASE WHEN done_keys + %(handled)s = total_keys THEN now() END
WHERE run = %(run)s AND chunk = %(number)s AND done_keys = %(start)s
