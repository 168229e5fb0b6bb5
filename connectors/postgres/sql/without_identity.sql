-- Published tables, and partitions of such, whose UPDATEs Postgres refuses, since they have no replica identity.
SELECT namespace.nspname, class.relname, class.relreplident::text, roots.nspname, root.relname
FROM pg_publication AS pub
JOIN pg_publication_rel AS rel ON rel.prpubid = pub.oid
CROSS JOIN LATERAL (SELECT rel.prrelid AS oid UNION SELECT relid FROM pg_partition_tree(rel.prrelid)) AS published
JOIN pg_class AS class ON class.oid = published.oid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_class AS root ON root.oid = rel.prrelid
JOIN pg_namespace AS roots ON roots.oid = root.relnamespace
WHERE pub.pubname = %(publication)s AND pub.pubupdate AND class.relkind = 'r' AND class.relreplident <> 'f'
    AND NOT EXISTS (
        SELECT FROM pg_index AS index
        WHERE index.indrelid = class.oid AND index.indisvalid AND index.indimmediate
            AND CASE class.relreplident WHEN 'd' THEN index.indisprimary WHEN 'i' THEN index.indisreplident END)
ORDER BY 1, 2
