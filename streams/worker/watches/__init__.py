"""What a worker watches beside its lanes, each in a thread.

watchdog         ends a hung worker
topics           what happens to topics and group outside a worker
topic_state      topics, group and notes at one time, for that watch
topic_parts      composition: the parts of that watch
targets          does the database still want what this worker works for?
settings         does the settings file still say what this worker runs with?
shapes           keys that no longer fit: take the new ones, or have the table looked at
mismatched_keys  events whose key does not fit the table's: bad, or older than the table
positions        how far a worker is: noted before each commit
canary           the canary: written by a thread, noted when it comes back
live_lag         live first: the rule, and the view of the live lane from outside
wanted           does the database want a target that a lane does not know?
"""
