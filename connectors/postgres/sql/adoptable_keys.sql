-- Keys of vectors that can be adopted: a page in the order of the primary key, or a uniform sample.
SELECT audited.key FROM ({audited}) AS audited WHERE {adoptable} = 'adoptable' LIMIT %(limit)s
