"""The command line: arguments and printing only; the work is in the other packages.

main        the program: shared options, how errors end
entry       the installed command, until the program is read
commands    the commands by name, each imported when it is called
data        commands about rows and vectors: replay, migrate, verify, adopt, dlq, status
models      commands about models and searches
screen      what commands show: tables, pages, JSON, bars, questions
formatting  the one form of each figure: counts, sizes, durations, keys, times
arguments   how arguments that several commands take are read
init        `vectrue init`: set everything up
doctor      `vectrue doctor`: every precondition, and what fixes it
worker      `vectrue worker`: the process that keeps vectors true
lag         `vectrue lag`: the report, the watch, the check
config      `vectrue config show`: the settings in force, with masked secrets
demo        `vectrue demo`: the whole path on a stack of its own
local       `vectrue local`: PostgreSQL, Kafka and Kafka Connect on this machine
"""
