"""The ledger of replay runs, and which rows a run is about.

enumeration  which rows a run is about: keys, a survey, `--where` and `--keys`
runs         the command's side of replay runs
looks        tables that are yet to be looked at
"""
