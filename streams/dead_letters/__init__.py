"""Events and rows that could not be handled: listed, sent again, followed.

entries   undecodable events and rows in quarantine: list, purge
redrive   sends them again
outcomes  what becomes of each
"""
