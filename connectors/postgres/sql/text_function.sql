-- The text of one row, or the condition that it raises: what scans use where some row's text cannot be made. The body is
-- text, so that it keeps nobody from changing or dropping the table; it runs with the rights and settings of who asks.
CREATE OR REPLACE FUNCTION {function}(oid, tid, OUT our_text text, OUT our_condition text)
LANGUAGE plpgsql STABLE AS {body}
