-- Changes may have been missed: the keeper looks at once, whenever it looked last.
UPDATE embedsync.keeper SET reconciled_at = NULL WHERE prefix = {prefix}
