"""What `vectrue init` puts into the database.

slot          the slot's figures
installation  what `init` set up, and on which log
others        init: other installations in the same database
counting      init: the functions that count, and the view over them
schema        init: migrations, provenance columns, targets, the coverage view
meaning       init: the search path and locale of all sessions
capture       init: origins, publication, heartbeat, slot
origins       replication origins: which are ours, and who else may write under one
grants        init: the worker's rights
score_rights  init: what `[score]` reads
"""
