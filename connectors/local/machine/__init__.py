"""Processes, ports, locks and certificates on this machine.

parts         what a part is
secured       a secure stack: TLS, users, rights
certificates  its certificates
processes     starting, recognising, ending
state         DIR/stack.json
account       the user that Postgres runs as
locks         one command at a time
free_ports    ports on loopback
versions      what runs
properties    how it is configured
"""
