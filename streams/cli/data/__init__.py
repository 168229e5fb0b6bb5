"""Commands about rows and vectors.

status          `vectrue status`: are the vectors true?
verify          `vectrue verify`: check every vector, and repair
adopt           `vectrue adopt`: keep the vectors that an application made
replay          `vectrue replay`: plan, run, status, pause, resume, cancel, set
replay_options  options that several commands of `replay` have
dlq             `vectrue dlq`: list, show, redrive, purge
migrate         `vectrue migrate`: plan, start, status, index, swap, rollback, finish
"""
