-- Where the server keeps its data, as far as it tells this role, and what that directory is known by.
SELECT
    (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT CASE WHEN dattablespace = 1663 THEN '' ELSE pg_tablespace_location(dattablespace) END
     FROM pg_database WHERE datname = current_database())
