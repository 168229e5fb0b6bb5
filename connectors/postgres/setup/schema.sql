-- What `init` puts into the database beside its tables.

-- name: schema_foundation
CREATE SCHEMA IF NOT EXISTS vectrue;
CREATE TABLE IF NOT EXISTS vectrue.migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vectrue.migrations IS 'Which of the numbered migrations this schema has seen.'

-- name: add_provenance
-- NULL until the first embedding and without a default: nothing is rewritten.
ALTER TABLE {table}
    ADD COLUMN IF NOT EXISTS {hash_column} bytea,
    ADD COLUMN IF NOT EXISTS {model_column} text,
    ADD COLUMN IF NOT EXISTS {time_column} timestamptz,
    ADD COLUMN IF NOT EXISTS {digest_column} bytea

-- name: vector_digest
-- What a vector is known by: eight bytes, since no one chooses them and a row has one. Planned into the query that calls it.
CREATE OR REPLACE FUNCTION vectrue.vector_digest({vectors}.vector) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS {body}

-- name: register_model
-- A model under its id; fields that an older vectrue did not know are filled in.
INSERT INTO vectrue.models AS known (model, name, revision, dimensions, pooling, max_tokens, fingerprint)
VALUES ({values})
ON CONFLICT (model) DO UPDATE
SET name = excluded.name, revision = excluded.revision, dimensions = excluded.dimensions, pooling = excluded.pooling,
    max_tokens = excluded.max_tokens, fingerprint = excluded.fingerprint
WHERE known.fingerprint IS DISTINCT FROM excluded.fingerprint

-- name: known_models
-- The models that were ever wanted, each with the vector columns that want it now. As JSON, because columns that the
-- migrations have not added yet are asked for as well.
SELECT
    to_jsonb(known),
    ARRAY(
        SELECT wanted.table_name || '.' || wanted.column_name FROM vectrue.targets AS wanted
        WHERE wanted.model = known.model ORDER BY 1
    ) AS wanted_in
FROM vectrue.models AS known
ORDER BY known.registered_at, known.model

-- name: register_target
INSERT INTO vectrue.targets (table_name, column_name, model, dimensions, text_digest)
VALUES ({table_literal}, {column_literal}, {model}, {dimensions}, {text_digest})
ON CONFLICT (table_name, column_name)
DO UPDATE SET model = excluded.model, dimensions = excluded.dimensions, text_digest = excluded.text_digest, updated_at = now()

-- name: all_targets
-- What the database wants everywhere; a worker compares it with what it wanted when the worker started.
SELECT table_name, column_name, model, dimensions, to_jsonb(target) ->> 'frozen', right(to_jsonb(target) ->> 'text_digest', -2)
FROM vectrue.targets AS target
ORDER BY table_name, column_name

-- name: text_function
-- The text of one row, or the condition that it raises: what scans use where some row's text cannot be made. The body is
-- text, so that it keeps no one from changing or dropping the table; it runs with the rights and settings of who asks.
CREATE OR REPLACE FUNCTION {function}(oid, tid, OUT our_text text, OUT our_condition text)
LANGUAGE plpgsql STABLE AS {body}

-- name: text_functions
-- The functions that evaluate texts row by row, and what each is made of.
SELECT proc.proname::text, proc.prosrc
FROM pg_proc AS proc
WHERE proc.pronamespace = to_regnamespace('vectrue') AND proc.proname ~ '^text_[0-9a-f]{24}$'

-- name: text_body
#variable_conflict use_column
DECLARE
    our_where text;
BEGIN
    BEGIN
        our_text := (SELECT ({text}
            )::text FROM {table} WHERE {table}.tableoid = $1 AND {table}.ctid = $2);
    EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
        GET STACKED DIAGNOSTICS our_where = PG_EXCEPTION_CONTEXT;
        IF {of_no_row} THEN
            RAISE;
        END IF;
        -- What is wrong with the expression itself is not the fault of a row: then this raises it again.
        PERFORM /* vectrue */ ({text}
            )::text FROM {table} WHERE false;
        our_text := NULL;
        our_condition := SQLSTATE;
    END;
END
