"""`vectrue migrate plan`: what a migration will take, before anything is changed.

plan          look at the served columns and put the plan together
plan_report   the plan: its figures, and the locks that each step takes
column_plan   the part of one column: sizes, indexes, readers
todo          what blocks a step, and what is done by hand
command_list  the commands in order, every table by its own state
wanted_model  the model that the plan is about, and how it is named
"""
