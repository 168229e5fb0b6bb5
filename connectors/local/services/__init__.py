"""How each service of the stack is prepared and started.

postgres           PostgreSQL with pgvector
postgres_programs  which PostgreSQL that is
kafka              broker and controller
connect            Kafka Connect with Debezium
postgres_tls       TLS in front of Postgres, as a part
relay              the process of that part
java               how a JVM is started
jars               fetched once, checked at every start
"""
