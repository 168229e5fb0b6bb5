"""One core for search and scores, used by the command line and HTTP.

search    text in, nearest rows out
coverage  how much of a table that can find
score     an answer against a reference, or a question's stored answers
"""
