"""One outside system each: ports first, then a package per system, the twins last.

postgres  Postgres: connections, and one package per thing that is done with rows
kafka     Kafka: clients, topics, offsets, and records that leave the pipeline
debezium  Debezium: Kafka Connect over REST and the configuration of the connector
models    Models that turn texts into vectors, behind the port `Embedder`
local     The local stack: Postgres, Kafka and Kafka Connect as child processes,
          with Python alone
twins     In-memory twins of the ports, for unit tests; the contract suites hold
          them to the real ones
ports     a Protocol per system, with its whole contract: read this first
clock     the real time
"""
