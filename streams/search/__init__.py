"""Search and scores, used by the command line and HTTP.

core      the algorithm: embed the query, search, repeat it if a migration came between
search    search in the caller's thread, for the command line
coverage  how much of a table a search can find
score     an answer against a reference, or a question's stored answers
"""
