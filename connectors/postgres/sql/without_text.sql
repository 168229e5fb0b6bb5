-- Rows of a column without a vector that have content in what their text reads, and no text since another column is empty;
-- and for each column it reads, in how many of them that is NULL. A text that is '' is meant so, and is not counted.
SELECT count(*), ARRAY[{nulls}]::bigint[]
FROM {table}{tried}
WHERE {column} IS NULL AND NOT {unreadable} AND ({holes}) AND ({content}) AND (({text}
    )::text) IS NULL
