-- Keys of rows that count as current: a page in the order of the primary key, or a uniform sample of the table.
SELECT audited.key FROM ({audited}) AS audited WHERE audited.state = 'current' LIMIT %(limit)s
