"""Debezium: Kafka Connect over REST and the configuration of the connector.

client    Connect over REST
answers   what Connect answers: the state of a connector, and reasons in few words
config    the connector's configuration
always    what its configuration always says: all that it may emit has a place, or
          is off
releases  releases that may leave events out
"""
