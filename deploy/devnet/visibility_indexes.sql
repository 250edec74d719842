-- Temporal's visibility table comes with 71 indexes, one for each search
-- attribute that anybody might ever define. Every workflow writes its row there
-- three times, and keeping them all was most of what Postgres did for a charge
-- (measured: 3.1 ms and 25 KB of log a write, 0.4 ms and 3 KB without). These are
-- the ones that the UI, our attributes and the runbooks ask for; the rest can be made again at any time
-- (CREATE INDEX, as in Temporal's schema/postgresql/v12/visibility). Run it on
-- the database temporal_visibility after each schema update.
DO $$
DECLARE
    unused text;
BEGIN
    FOR unused IN
        SELECT indexname FROM pg_indexes
        WHERE schemaname = 'public' AND tablename = 'executions_visibility' AND indexname NOT IN (
            'executions_visibility_pkey', 'default_idx', 'by_execution_time', 'by_status',
            'by_workflow_id', 'by_workflow_type', 'by_parent_workflow_id', 'by_root_workflow_id',
            'by_temporal_reported_problems',
            -- WorkspaceId, Environment, PaymentHash, PaymentStatus and one to spare; AmountMsat.
            'by_keyword_01', 'by_keyword_02', 'by_keyword_03', 'by_keyword_04', 'by_keyword_05', 'by_int_01')
    LOOP
        EXECUTE format('DROP INDEX %I', unused);
    END LOOP;
END $$;
