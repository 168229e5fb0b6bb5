"""The local stack: Postgres, Kafka and Kafka Connect as child processes, with Python
alone.

services   How each service of the stack is prepared and started
machine    Processes, ports, locks and certificates on this machine
stack      up, down, status, reset
lifecycle  starting and ending in the right order
"""
