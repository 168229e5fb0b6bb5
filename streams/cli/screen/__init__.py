"""What commands show: tables, pages, JSON, questions, bars.

interruption  Ctrl-C and SIGTERM: the statement on the server ends with the command
output        screens that obey no text, JSON, questions, bars
tables        tables for a screen of any width, in which nothing is cut
migrate_page  the plan on a screen
lag_page      the report as a page
replay_page   plan, bars, verdict, list of runs
"""
