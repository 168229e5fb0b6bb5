"""What several packages share.

bisect           which text of a batch the model refuses
retry            patience with a service that is away
targets          the configured tables as the database wants them
embedders        the models of a worker: one, in a migration two
too_large        the failure of a connector, with the row that was too large for it
stragglers       rows that stay without a true vector, told from those on their way
background_call  a question that is not waited for too long
tracebacks       exceptions that nothing caught, safe for a terminal
logs             lines on stderr, for people or as JSON
"""
