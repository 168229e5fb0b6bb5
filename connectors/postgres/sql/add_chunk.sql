-- A chunk enters the ledger, with its keys, before it is sent: a crash in between loses nothing.
INSERT INTO vectrue.replay_chunks (run, chunk, table_name, column_name, model, keys, total_keys)
VALUES %s
