-- Row versions that nobody sees any more and VACUUM would free, in a table and its TOAST; as the statistics last had it.
SELECT
    coalesce(sum(tables.n_live_tup), 0)::bigint AS live,
    coalesce(sum(tables.n_dead_tup), 0)::bigint AS dead,
    coalesce(sum(pg_total_relation_size(tables.relid)), 0)::bigint AS bytes,
    coalesce(bool_or(tables.last_autovacuum > now() - interval '1 minute'), false) AS vacuumed
FROM pg_stat_all_tables AS tables
WHERE tables.relid = %(table)s::regclass
    OR tables.relid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass))
