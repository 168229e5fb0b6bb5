-- The role that the workers of docker-compose.yml log in as. It owns nothing; `vectrue init` grants what it needs.
-- Read by the Postgres image when the volume is empty; for a volume of before:
--
--   docker compose exec postgres psql -U postgres -f /docker-entrypoint-initdb.d/20-worker.sql

\getenv password WORKER_PASSWORD
CREATE ROLE vectrue LOGIN NOSUPERUSER PASSWORD :'password';
