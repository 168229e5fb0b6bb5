"""What workers, the keeper, `lag` and `doctor` ask about the state of things.

keeper           who is the keeper, when it looked, which rows are stale
rounds           when a worker last looked after an installation
edits            settings files that were edited under running workers
canary           beats of the canary, its arrivals, where the slot stood
witness          the database's side of what green is judged by
table_marks      what a table's rows are stored in
topic_notes      ids of topics, and how far their events are handled
watched          what is configured, compared with what is there
log_watch        that log and the connector's, compared all the time
checkup          doctor: the same rules, asked again
checkup_schema   doctor: the configured tables and the schema vectrue
checkup_rights   doctor: the workers' rights
checkup_capture  doctor: publication, replication origins, slot, heartbeat
checkup_columns  doctor: length and indexes of a vector column
"""
