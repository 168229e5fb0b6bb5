-- Before anything of the run is sent, so that a keeper that dies meanwhile leaves a run which the next one takes up.
UPDATE embedsync.replays SET made_by = 'keeper' WHERE run = %(run)s
