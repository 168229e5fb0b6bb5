"""How each service of the stack is prepared and started.

postgres      the first
kafka         the second
connect       the third
postgres_tls  TLS in front of Postgres, as a part
relay         that process
java          how a JVM is started
jars          fetched once, checked at every start
"""
