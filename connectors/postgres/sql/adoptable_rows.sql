-- Vectors without provenance, counted by what keeps them from being adopted.
SELECT {adoptable} AS kind, count(*) FROM ({audited}) AS audited GROUP BY kind
