-- Whether a table has a row; an error where a policy would hide some.
SELECT EXISTS (SELECT FROM {table})
