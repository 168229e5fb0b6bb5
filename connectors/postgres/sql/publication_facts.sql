-- A publication as it stands. to_jsonb hides that the column list is a column of pg_publication_rel only from 15 on.
SELECT
    pub.puballtables,
    pub.pubinsert AND pub.pubupdate AND NOT pub.pubdelete AND NOT pub.pubtruncate AND pub.pubviaroot AS options_right,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'schema', namespace.nspname, 'name', class.relname, 'filtered', to_jsonb(rel) ->> 'prqual' IS NOT NULL,
            'columns', CASE WHEN to_jsonb(rel) ->> 'prattrs' IS NOT NULL THEN (
                SELECT jsonb_agg(att.attname)
                FROM jsonb_array_elements_text(to_jsonb(rel) -> 'prattrs') AS listed (attnum)
                JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = listed.attnum::smallint) END))
        FROM pg_publication_rel AS rel
        JOIN pg_class AS class ON class.oid = rel.prrelid
        JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE rel.prpubid = pub.oid
    ), '[]') AS tables
FROM pg_publication AS pub
WHERE pub.pubname = %(publication)s
