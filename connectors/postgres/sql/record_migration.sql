INSERT INTO vectrue.column_migrations
    (table_name, column_name, offline, frozen, from_model, from_dimensions, to_model, to_dimensions,
     from_settings, to_settings, indexes)
VALUES
    ({table_literal}, {column_literal}, {offline}, {frozen}, {from_model}, {from_dimensions}, {to_model}, {to_dimensions},
     {from_settings}, {to_settings}, {indexes})
