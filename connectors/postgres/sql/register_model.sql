INSERT INTO embedsync.models (model, name, dimensions) VALUES ({values})
ON CONFLICT (model) DO NOTHING
