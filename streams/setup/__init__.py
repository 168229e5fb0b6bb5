"""`vectrue init`: everything that must exist before a worker starts.

init           do what is missing, or print it
plan           check the database, and list what it lacks
connection     the connection that makes the changes, for one command at a time
takeover       whose connector is it, and of which log is its offset?
start_capture  the connector, started where this log goes on
joined         the tables that the keeper looks at after `init`
init_report    what `init` prints at its end
"""
