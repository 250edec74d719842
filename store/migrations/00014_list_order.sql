-- +goose Up

-- Charges by status, in an order that no other index has. Of rows in the order of
-- their ids the planner thinks that each status is everywhere among them, and read
-- a workspace's whole history for pending charges that are all new.
CREATE INDEX charge_by_status ON charge (workspace_id, status, id) WHERE status <> 'creating';
DROP INDEX charge_status;

-- Transfers are found by their ref, and are unique by ref and kind: one index, for
-- each settlement writes to every one.
ALTER TABLE transfer ADD CONSTRAINT transfer_ref_kind_key UNIQUE (ref, kind);
ALTER TABLE transfer DROP CONSTRAINT transfer_kind_ref_key;
DROP INDEX transfer_ref;
