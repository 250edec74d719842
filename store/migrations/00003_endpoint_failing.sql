-- +goose Up

-- The first failed attempt since the last successful one: five days of nothing
-- but failures disable the endpoint. Written once per streak, so that a
-- healthy endpoint's row is never touched.
ALTER TABLE webhook_endpoint ADD COLUMN failing_since timestamptz;
