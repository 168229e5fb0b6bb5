"""What heals without anyone noticing: one worker at a time is the keeper.

keeper        the duties in turn, in a thread of each worker
reconcile     rows that stay stale are sent through replay
restarts      a connector that failed is restarted, or left and reported
stale_rows    sends them: as a replay run, or to the live lane
looks         tables whose changes may have been missed, looked at once
log_watch     whether the connector's offset is one of this database's log
table_marks   tables whose storage or publication changed are looked at
origin_watch  nothing that others write under an origin is left out of capture
differences   what is configured against what exists, for the keeper and doctor
"""
