-- What the view of text_view.sql needs besides tables: each function with the role's right on it, and the schemas of all
-- that it names. Functions that a function calls are not known to the catalogue.
WITH needed AS (
    SELECT DISTINCT dep.refclassid, dep.refobjid
    FROM pg_rewrite AS rule
    JOIN pg_depend AS dep ON dep.classid = 'pg_rewrite'::regclass AND dep.objid = rule.oid AND dep.refobjid <> rule.ev_class
    WHERE rule.ev_class = 'pg_temp.our_text'::regclass
), object (schema, function) AS (
    SELECT pronamespace, oid FROM pg_proc JOIN needed ON refclassid = 'pg_proc'::regclass AND refobjid = oid
    UNION ALL
    SELECT oprnamespace, oprcode FROM pg_operator JOIN needed ON refclassid = 'pg_operator'::regclass AND refobjid = oid
    UNION ALL
    SELECT typnamespace, NULL FROM pg_type JOIN needed ON refclassid = 'pg_type'::regclass AND refobjid = oid
    UNION ALL
    SELECT collnamespace, NULL FROM pg_collation JOIN needed ON refclassid = 'pg_collation'::regclass AND refobjid = oid
    UNION ALL
    SELECT cfgnamespace, NULL FROM pg_ts_config JOIN needed ON refclassid = 'pg_ts_config'::regclass AND refobjid = oid
    UNION ALL
    SELECT relnamespace, NULL FROM pg_class JOIN needed ON refclassid = 'pg_class'::regclass AND refobjid = oid
)
SELECT
    (SELECT coalesce(array_agg(DISTINCT namespace.nspname::text), '{{}}')
     FROM object JOIN pg_namespace AS namespace ON namespace.oid = object.schema
     WHERE namespace.nspname NOT IN ('pg_catalog', 'information_schema')) AS schemas,
    (SELECT coalesce(array_agg(DISTINCT object.function::regprocedure::text), '{{}}')
     FROM object WHERE NOT has_function_privilege(%(role)s, object.function, 'EXECUTE')) AS not_granted,
    (SELECT coalesce(array_agg(DISTINCT object.function::regprocedure::text), '{{}}')
     FROM object WHERE NOT has_function_privilege(object.function, 'EXECUTE WITH GRANT OPTION')) AS not_grantable
