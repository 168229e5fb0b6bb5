-- What the session of `init` gives all others: the schemas that it looks for names in, those that the worker's role may use
-- or can be let use, and the settings that a server has by its locale. Temporary objects are looked for last.
-- `visible`: what current_schemas says under the role's own search path; this runs under a guarded one.
SELECT
    (SELECT string_agg(quote_ident(path.name), ', ' ORDER BY path.place)
     FROM (
         SELECT visible.name, visible.place FROM unnest(%(visible)s::text[]) WITH ORDINALITY AS visible (name, place)
         WHERE visible.name !~ '^pg_temp'
             AND (has_schema_privilege(%(role)s, visible.name, 'USAGE')
                  OR has_schema_privilege(visible.name, 'USAGE WITH GRANT OPTION'))
         UNION ALL SELECT 'pg_temp', 1000000
     ) AS path) AS search_path,
    (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name = ANY (%(locale)s)) AS locale
