-- +goose Up

-- Since when the node's channels certainly have no HTLC of a payment that it
-- calls in flight, long enough after the last send for none to come. Only an lnd
-- that was started after this has looked for the HTLC's result since.
ALTER TABLE withdrawal ADD COLUMN absent_since timestamptz;
