"""How it flows.

The packages in reading order:

worker        The process that keeps vectors true, in the order of the flow
keeper        What heals without anyone noticing: one worker at a time is the keeper
replay        The command side of a replay run; the worker side is in
              `streams.worker.replay`
migration     Moving vector columns to another model while readers go on reading
audit         Is every vector what it should be, and waiting until it is
dead_letters  Events and rows that could not be handled: listed, sent again,
              followed
search        One core for search and scores, used by the command line and HTTP
evaluation    How good searches and models are, by judged queries
setup         `vectrue init`: everything that must be there before a worker starts
operations    What an operator asks: lag, doctor, the demo
common        What several packages share
api           The HTTP interface of `vectrue serve`, in the order of a request
cli           The command line: arguments and printing only; the work is in the
              other packages
"""
