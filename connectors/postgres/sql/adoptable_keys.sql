-- Keys of vectors that can be adopted: all of them, or a uniform sample of the table.
SELECT audited.key FROM ({audited}) AS audited WHERE {adoptable} = 'adoptable' LIMIT %(limit)s
