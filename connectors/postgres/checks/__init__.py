"""What is checked before anything is changed.

text_check        init: what a text reads and calls
server            init: can this server, database and role work?
neighbour         init: would this break the application, or hide rows?
replica_identity  published tables whose UPDATEs Postgres refuses
trust             init: whose code would run with whose rights
text_rights       init: schemas and functions that expressions need; the sentence
                  about a right that is missing
"""
