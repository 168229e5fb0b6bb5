"""The ledger of replay runs, and which rows a run is about.

enumeration  which rows a run is about: keys, a survey, `--where` and `--keys`
entering     new runs and their chunks, within a transaction of the caller's
runs         the command's side of replay runs
looks        tables that the keeper has to look at
"""
