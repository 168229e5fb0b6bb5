-- Rows by state and findings, counted in one scan, with the keys of some of each kind.
SELECT placed.state, placed.findings, count(*), jsonb_agg(placed.key) FILTER (WHERE placed.place <= %(samples)s)
FROM (
    SELECT audited.key, audited.state, audited.findings,
        row_number() OVER (PARTITION BY audited.state, audited.findings) AS place
    FROM ({audited}) AS audited
) AS placed
GROUP BY placed.state, placed.findings
