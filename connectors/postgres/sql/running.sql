-- Which of these transactions (32-bit ids) this server still runs, prepared ones and those waiting for a standby included.
SELECT transactionid::text::bigint
FROM pg_locks
WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
    AND transactionid::text::bigint = ANY (%(xids)s::bigint[])
