-- Rows per second of a run over the last two minutes, by the chunks that were finished in them: by column, and in all.
SELECT
    table_name || '.' || column_name AS column,
    sum(total_keys) / greatest(1, extract(epoch FROM now() - greatest(now() - interval '2 minutes', min(sent_at))))::double precision
FROM vectrue.replay_chunks
WHERE run = %(run)s AND done_at > now() - interval '2 minutes'
GROUP BY GROUPING SETS ((table_name, column_name), ())
