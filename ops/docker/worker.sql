-- The role that the workers of docker-compose.yml log in as. It owns nothing; `vectrue init` grants what it needs.
-- The Postgres image runs this when the volume is empty. For an existing volume without the role:
--
--   docker compose exec postgres psql -U postgres -f /docker-entrypoint-initdb.d/20-worker.sql

\getenv password WORKER_PASSWORD
CREATE ROLE vectrue LOGIN NOSUPERUSER PASSWORD :'password';
