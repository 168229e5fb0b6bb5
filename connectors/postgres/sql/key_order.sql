-- In the order of the primary key, as a fragment.
ORDER BY {keys}
