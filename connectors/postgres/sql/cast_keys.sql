-- Keys as values of their columns' types, or an error where one is not; reads no table.
SELECT {key_arrays}
