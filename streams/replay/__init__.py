"""The command side of a replay run; the worker side is in `streams.worker.replay`.

run        the command's side of a run
outcome    what a run came to: rows handled, and how their tables stand
plan       what a run would do and cost
control    steering a run from any shell
vacuum     VACUUM, after a run
key_lines  keys that somebody wrote down
keys       which rows they name
"""
