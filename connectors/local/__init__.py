"""The local stack: PostgreSQL, Kafka and Kafka Connect with Debezium as child processes, on a machine with only Python.

stack.py       up, down, status, reset: the whole
lifecycle.py   starting and ending the parts in the right order
parts.py       what a part is; its kinds are postgres.py, kafka.py, connect.py (and postgres_tls.py)
secured.py     what makes a stack secure; certificates.py makes its certificates,
               postgres_tls.py and relay.py are the TLS in front of Postgres
java.py        how a JVM is started
processes.py   starting, recognising and ending processes
state.py       DIR/stack.json and DIR/lock
account.py     which user Postgres runs as, and where that user can reach
locks.py       one command at a time
free_ports.py  ports on loopback
jars.py        the jars named in jars.txt, fetched once per user
versions.py, properties.py   what runs and how it is configured; docker-compose.yml says the same
"""
