-- Whoever labels writes in this database, or may do so: its subscriptions, and all origins of the server but those of
-- other databases' subscriptions. Which database another origin is used in, Postgres does not know.
SELECT 'subscription', subname::text
FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'replication origin', roname
FROM pg_replication_origin AS origin
WHERE NOT EXISTS (
    SELECT FROM pg_subscription AS subscription
    WHERE roname = 'pg_' || subscription.oid OR roname ~ ('^pg_' || subscription.oid || '_[0-9]+$'))
ORDER BY 1, 2
