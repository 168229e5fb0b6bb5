"""The command side of a replay run; the worker side is in `streams.worker.replay`.

run             enumerate, send and follow a run
prepared        a request that was checked, with the rows behind it
plan            what a run would do and cost
keys            the rows that written keys name
key_lines       keys that were written down, a line each
control         steering a run from any shell
outcome         what a run came to: rows handled, and their state afterwards
outcome_reader  reading that, once rows that were locked are written
vacuum          VACUUM, after a run
"""
