"""What a worker watches beside its lanes, each in a thread.

watchdog     ends a worker that lives and does nothing
topics       what happens to topics and group behind a worker's back
topic_parts  composition: the parts of that watch
targets      is what is there still what this worker works for?
settings     does the settings file still say what this worker runs with?
shapes       keys that stop fitting: look, take the new ones, or have the table
             looked at
positions    how far a worker is: noted before each commit
"""
