-- What the rule in row_state.sql needs to know of a row, as the columns of `doc`.
({text}
)::text AS text,
ARRAY[{keys_as_text}] AS key,
{column} IS NOT NULL AS vector,
{hash_column} AS stored_hash,
{model_column} AS stored_model,
{unreadable} AS unreadable,
{tied} AS tied
