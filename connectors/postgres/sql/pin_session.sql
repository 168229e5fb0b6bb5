-- Settings of this session that differ from what is wanted, where this server knows them.
SELECT set_config(wanted.name, wanted.value, false)
FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
JOIN pg_settings AS found ON lower(found.name) = lower(wanted.name) AND found.setting IS DISTINCT FROM wanted.value
