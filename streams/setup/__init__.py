"""`vectrue init`: everything that must be there before a worker starts.

init           plan, then run or print
init_report    what `init` says at its end
takeover       init: whose connector is it, and of which log is its offset?
joined         what `init` has the keeper look at
start_capture  init: the connector, started where this log goes on
"""
