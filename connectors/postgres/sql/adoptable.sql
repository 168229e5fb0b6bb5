-- What keeps a vector without provenance from being adopted, as a fragment over `audited`; 'adoptable' when nothing does.
CASE
    WHEN audited.state = 'quarantined' THEN 'quarantined'
    WHEN audited.state <> 'stale_model' THEN 'blank' -- a vector and no text
    WHEN audited.dimensions <> audited.wanted_dimensions THEN 'wrong_dimension'
    WHEN audited.norm IN ('NaN', 'Infinity') THEN 'not_finite'
    WHEN abs(audited.norm - 1) > %(tolerance)s THEN 'not_unit_length'
    WHEN audited.recent THEN 'recent'
    ELSE 'adoptable'
END
