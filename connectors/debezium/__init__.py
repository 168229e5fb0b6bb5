"""Debezium: Kafka Connect over REST and the configuration of the connector.

client    Connect over REST; the connector's configuration
releases  releases that may leave events out
always    what its configuration always says: all that it may emit has a place, or
          is off
"""
