"""What heals without anyone noticing: one worker at a time is the keeper.

keeper        what heals by itself, in a thread of each worker
reconcile     rows that stay stale are sent through replay
restarts      a connector that failed is restarted, or left and reported
heal          stale rows sent on their way: as a run, or to the live lane
looks         tables of which changes may have been missed, looked at once
log_watch     the keeper's look at them
table_marks   tables that are stored elsewhere than before are looked at
origin_watch  nothing that others write under an origin is left out of capture
differences   configured against there, for the keeper and doctor; the connector's
              settings
"""
