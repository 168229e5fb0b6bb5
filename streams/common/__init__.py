"""What several packages share.

targets          the configured tables as the database wants them
embedders        the models of a worker: one, or two during a migration
bisect           finds the texts of a batch that the model refuses
retry            retries calls to a service that does not answer
stragglers       finds rows that lack a true vector for good
too_large        explains a connector's failure, with the row that was too large
background_call  a call in a thread of its own, with a timeout
niceness         the replay worker's share of the processor
tracebacks       exceptions that nothing caught, safe for a terminal
logs             lines on stderr, for people or as JSON
"""
