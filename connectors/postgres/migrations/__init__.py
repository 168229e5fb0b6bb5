"""The steps of a migration of a vector column, and its indexes.

migration   migrate: the state, and the statements of each step
twins       migrate: the indexes of a column, and which has a twin on the other one
twin_steps  migrate: the statements that build the twins, partition by partition
outlook     migrate plan: sizes, owners, functions by text, room on the disk
dependents  migrate: what depends on a column, each with the statement that takes it
            away
"""
