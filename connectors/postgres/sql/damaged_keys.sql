-- Keys of rows that a replay would pass by, although what stands beside their vector is untrue.
SELECT audited.key
FROM ({audited}) AS audited
WHERE (audited.state IN ('current', 'quarantined') OR 'foreign_vector' = ANY (audited.findings))
    AND cardinality(audited.findings) > 0
LIMIT %(limit)s
