"""What `vectrue init` puts into the database.

schema        migrations, provenance columns, targets
counting      the functions that count, and the view over them
capture       origins, publication, heartbeat, slot
origins       replication origins: which are ours, and what else writes under one
slot          the slot's figures
grants        the worker's rights
score_rights  what `[score]` reads
meaning       the search path and locale of all sessions
installation  what `init` set up, and on which log
others        other installations in the same database
lists         names and values within a statement
"""
