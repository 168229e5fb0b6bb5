"""Processes, ports, locks and certificates on this machine.

parts         what a part of the stack is
secured       a secure stack: TLS, users, rights
certificates  its certificates
processes     start, recognise and end processes
state         DIR/stack.json
account       the user that Postgres runs as
locks         one command at a time
free_ports    ports on loopback
versions      the versions of every part
properties    the settings of every part
"""
