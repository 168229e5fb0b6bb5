-- Keys as values of their columns' types, or the error that they are none; reads no table.
SELECT {key_arrays}
