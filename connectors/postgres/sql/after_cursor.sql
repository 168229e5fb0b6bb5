-- The rows after the last one enumerated, as a fragment.
({keys}) > ({bounds})
