"""Commands about rows and vectors: replay, migrate, verify, adopt, dlq, status.

dlq             list, show, redrive, purge
migrate         plan, start, status, index, swap, rollback, finish
replay_options  what its commands share of options
adopt           vectrue adopt
replay          vectrue replay
verify          vectrue verify
status          `vectrue status`: are the vectors true? Arguments and printing only
"""
