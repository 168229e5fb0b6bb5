"""The local stack: Postgres, Kafka and Kafka Connect as child processes, from Python
packages alone.

services   how each service of the stack is prepared and started
machine    processes, ports, locks and certificates on this machine
stack      up, down, status, reset
lifecycle  start and end the parts in the right order
"""
