-- In an order that has nothing to do with the rows, as a fragment: the same for the same seed.
ORDER BY hashtextextended(ARRAY[{keys_as_text}]::text, %(seed)s)
