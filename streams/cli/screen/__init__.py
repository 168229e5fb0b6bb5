"""What commands show: tables, pages, JSON, bars, questions.

output            the two screens; text from outside commands no terminal
tables            tables for a screen of any width, in which nothing is cut
folding           text folded to a width, by cells
grid_column       a column of a table, and its measures
bars              the one progress bar
confirmation      when a command asks, and what it does without a terminal
interruption      Ctrl-C and SIGTERM: the statement on the server ends with the command
dlq_page          `vectrue dlq`
index_progress    the build of an index
lag_page          `vectrue lag`
migrate_page      `vectrue migrate plan` and `status`
replay_plan_page  `vectrue replay plan`: what a run would do
replay_progress   a run that is followed
replay_page       the verdict of a run, and the list of runs
"""
