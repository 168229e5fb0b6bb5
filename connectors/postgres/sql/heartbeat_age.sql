-- Seconds since the connector's last heartbeat, by the database's clock.
SELECT extract(epoch FROM clock_timestamp() - at)::double precision FROM vectrue.heartbeat WHERE id = 1
