"""What is checked before anything is changed.

server            init: can this server, database and role work?
neighbour         init: would this break the application, or hide rows?
neighbour_key     init: would a table's key and replica identity break it?
text_check        init: what a text reads and calls
text_rights       init: schemas and functions that expressions need; the sentence
                  about a right that is missing
trust             init: whose code would run with whose rights
replica_identity  published tables whose UPDATEs Postgres refuses
"""
