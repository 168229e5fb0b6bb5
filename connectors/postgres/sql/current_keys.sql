-- Keys of rows that count as current: all of them, or a uniform sample of the table.
SELECT audited.key FROM ({audited}) AS audited WHERE audited.state = 'current' LIMIT %(limit)s
