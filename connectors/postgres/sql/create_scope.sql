-- One column of a run, with the number of rows it is expected to send.
INSERT INTO vectrue.replay_scopes (run, table_name, column_name, model, expected)
VALUES (%(run)s, %(table)s, %(column)s, %(model)s, %(expected)s)
