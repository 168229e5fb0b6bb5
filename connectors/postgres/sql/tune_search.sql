-- Settings of an approximate index for one transaction, and the schema of pgvector. HNSW returns at most ef_search rows of a
-- single scan; from pgvector 0.8 on a scan may go on where a condition left too few, in an order that is put right later.
SELECT
    namespace.nspname,
    set_config('hnsw.ef_search', coalesce(
        %(ef_search)s,
        greatest(nullif(current_setting('hnsw.ef_search', true), '')::integer, 40, %(limit)s)
    )::text, true) AS ef_search,
    CASE WHEN (split_part(extversion, '.', 1)::integer, split_part(extversion, '.', 2)::integer) >= (0, 8) THEN
        set_config('hnsw.iterative_scan', 'relaxed_order', true)
        || set_config('ivfflat.iterative_scan', 'relaxed_order', true)
    END AS iterative_scan
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'vector'
