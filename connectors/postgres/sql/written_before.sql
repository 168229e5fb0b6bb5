-- `--since`, as a fragment: vectors written before a time. A row without a vector was not.
{time_column} < %(since)s
