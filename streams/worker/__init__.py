"""The process that keeps vectors true, in the order of the flow.

watches            What a worker watches beside its lanes, each in a thread
supervisor         one child per role, restarted
process            one worker process: checks, then Faust
app                the Faust application: its agents, topics and options
agents             Faust's agent bodies: batches in, acknowledged part by part
runner             the lane's thread, and how a failure ends the process
lanes              composition: the parts of a worker
live               the live lane, free of Faust: events in, rows that they mean
live_rows          its rows: read, decided, embedded and written, part by part
deferral           rows that have to wait: deferred, and when they are due
batch              a live batch in hand, and which of its events are handled
parts              how a batch is cut, and the model's calls in it
replay             the replay lane, free of Faust: chunks of keys in
replay_rows        its rows: read in the order of the keys, decided and embedded
settle             read, decide, embed: where text becomes vectors
dead_letter_limit  too many bad events: stop rather than move a topic
throttle           may the replay lane go on now, and if not, why
"""
