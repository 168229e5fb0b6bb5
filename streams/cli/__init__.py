"""The command line: arguments and printing only; the work is in the other packages.

data    Commands about rows and vectors: replay, migrate, verify, adopt, dlq, status
models  Commands about models and searches
screen  What commands show: tables, pages, JSON, questions, bars
entry   the installed command, until the program is read
main    the program: shared options, how errors end
commands  the commands by name, each read when it is called
lag     the report, the watch, the check
config  `vectrue config show`: what is in force, secrets masked
demo    vectrue demo
doctor  vectrue doctor
init    `vectrue init`: set everything up
local   `vectrue local`: PostgreSQL, Kafka and Kafka Connect on this machine,
        without Docker or Java
worker  vectrue worker
"""
