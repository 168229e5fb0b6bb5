-- Whose a thing is that depends on a column, by its kind and its name as SQL writes it; else whose the table is.
SELECT pg_get_userbyid(coalesce(
    CASE
        WHEN %(kind)s IN ('view', 'materialized view') THEN
            (SELECT relowner FROM pg_class WHERE oid = to_regclass(%(name)s))
        WHEN %(kind)s IN ('function', 'procedure', 'aggregate') THEN
            (SELECT proowner FROM pg_proc WHERE oid = to_regprocedure(%(name)s))
        WHEN %(kind)s = 'publication' THEN
            (SELECT pubowner FROM pg_publication WHERE quote_ident(pubname) = %(name)s)
    END,
    (SELECT relowner FROM pg_class WHERE oid = %(oid)s)
))
