-- PayoutGate is held while funds are locked, a send is licensed or a book
-- transfer is booked; a freeze takes it alone. So once a freeze has been written
-- none of these happens any more; a send that was licensed before may still
-- reach the node until its deadline. The locks last until the transaction ends.
-- name: EnterPayoutGate :exec
SELECT pg_advisory_xact_lock_shared(5125, 0);

-- name: ClosePayoutGate :exec
SELECT pg_advisory_xact_lock(5125, 0);

-- HoldOneByOne makes the holds of a workspace and of a node wait for each
-- other, so that limits are judged by what is committed.
-- name: HoldOneByOne :exec
SELECT pg_advisory_xact_lock(5126, hashtext(@workspace_id::text)), pg_advisory_xact_lock(5127, hashtext(@node::text));

-- What speaks against locking funds, at one instant by Postgres' clock.
-- name: JudgeHold :one
SELECT
    now()::timestamptz AS now,
    EXISTS (SELECT FROM withdrawal w WHERE w.payment_hash = @payment_hash AND w.status <> 'failed') AS duplicate,
    -- After a void the node may still be paying it, or have paid it; so may
    -- its owner.
    EXISTS (SELECT FROM stray_payment s WHERE s.payment_hash = @payment_hash
        AND (s.state = 'open' OR s.status = 'succeeded')) AS stray,
    EXISTS (SELECT FROM node n WHERE n.pubkey = @destination::text) AS own_node,
    (payouts_frozen(@workspace_id::text, @node::text) IS NOT NULL)::boolean AS frozen,
    wo.open AS workspace_open, wo.open_msat AS workspace_open_msat, wd.daily_msat AS workspace_daily_msat,
    no.open AS node_open, no.open_msat AS node_open_msat, nd.daily_msat AS node_daily_msat
FROM (
    SELECT count(*) AS open, coalesce(sum(w.amount_msat + w.max_fee_msat), 0)::bigint AS open_msat FROM withdrawal w
    WHERE w.workspace_id = @workspace_id::text AND w.status IN ('held', 'sending', 'following')
) wo, (
    SELECT coalesce(sum(w.amount_msat), 0)::bigint AS daily_msat FROM withdrawal w
    WHERE w.workspace_id = @workspace_id::text AND w.status <> 'failed' AND w.created_at > now() - interval '24 hours'
) wd, (
    SELECT count(*) AS open, coalesce(sum(w.amount_msat + w.max_fee_msat), 0)::bigint AS open_msat FROM withdrawal w
    WHERE w.node = @node::text AND w.kind = 'lightning' AND w.status IN ('held', 'sending', 'following')
) no, (
    SELECT coalesce(sum(w.amount_msat), 0)::bigint AS daily_msat FROM withdrawal w
    WHERE w.node = @node::text AND w.kind = 'lightning' AND w.status <> 'failed'
        AND w.created_at > now() - interval '24 hours'
) nd;

-- ClaimCharge takes a charge of ours for a book transfer: the whole bolt11
-- must be the charge's, the hash is not enough.
-- name: ClaimCharge :one
UPDATE charge SET settling_by = @withdrawal_id::text
WHERE payment_hash = @payment_hash AND bolt11 = @bolt11::text AND status = 'pending' AND settling_by IS NULL
    AND expires_at > now() AND node IN (SELECT n.name FROM node n WHERE n.pubkey = @destination::text)
RETURNING id, node, amount_msat;

-- No row means that the payment hash is another withdrawal's.
-- name: InsertWithdrawal :one
INSERT INTO withdrawal (id, workspace_id, node, kind, status, payment_hash, destination, bolt11, amountless,
    charge_id, amount_msat, max_fee_msat, description, metadata, external_id, invoice_expires_at, next_check_at)
VALUES (@id, @workspace_id, @node, @kind, 'held', @payment_hash, @destination, @bolt11, @amountless,
    sqlc.narg(charge_id), @amount_msat, @max_fee_msat, sqlc.narg(description), @metadata, sqlc.narg(external_id),
    @invoice_expires_at, now() + interval '60 seconds')
ON CONFLICT (payment_hash) WHERE status <> 'failed' DO NOTHING
RETURNING *;

-- What a run sees when it looks at its row, by Postgres' clock.
-- name: LookAtWithdrawal :one
SELECT sqlc.embed(w), (w.invoice_expires_at <= now())::boolean AS expired,
    coalesce((extract(epoch FROM now() - w.sent_at) * 1000)::bigint, 0)::bigint AS sent_ms_ago,
    EXISTS (SELECT FROM withdrawal_resolution r WHERE r.withdrawal_id = w.id AND r.outcome IS NULL) AS to_resolve,
    (payouts_frozen(w.workspace_id, w.node) IS NOT NULL)::boolean AS frozen,
    coalesce(f.predecessor_index, 0)::bigint AS predecessor_index,
    coalesce(f.predecessor_created_ns, 0)::bigint AS predecessor_created_ns,
    coalesce((extract(epoch FROM l.deadline - now()) * 1000)::bigint, 0)::bigint AS deadline_in_ms,
    coalesce((extract(epoch FROM now() - l.started_at) * 1000)::bigint, 0)::bigint AS last_sent_ms_ago,
    coalesce((extract(epoch FROM now() - w.finding_at) * 1000)::bigint, 0)::bigint AS found_ms_ago,
    coalesce((extract(epoch FROM now() - w.no_htlcs_since) * 1000)::bigint, 0)::bigint AS no_htlcs_ms,
    coalesce((extract(epoch FROM now() - w.absent_since) * 1000)::bigint, 0)::bigint AS absent_ms,
    (w.sends > 0 AND NOT EXISTS (SELECT FROM withdrawal_send x WHERE x.withdrawal_id = w.id
        AND x.outcome IS DISTINCT FROM 'refused'))::boolean AS all_refused
FROM withdrawal w
LEFT JOIN withdrawal_send f ON f.withdrawal_id = w.id AND f.number = 1
LEFT JOIN withdrawal_send l ON l.withdrawal_id = w.id AND l.number = w.sends
WHERE w.id = @id;

-- AddSend licenses one SendPayment to whoever it returns a row to, if the
-- withdrawal still is as it was judged: the number of send rows, no review, no
-- freeze, an invoice that lives. The predecessor of the first send row holds
-- for all.
-- name: AddSend :one
WITH licensed AS (
    UPDATE withdrawal w SET status = 'sending', sends = w.sends + 1, sent_at = coalesce(w.sent_at, now()),
        finding = NULL, finding_at = NULL, finding_sends = NULL, absent_since = NULL,
        next_check_at = now() + interval '60 seconds'
    WHERE w.id = @id AND w.kind = 'lightning' AND w.status IN ('held', 'sending', 'following')
        AND w.sends = @sends AND w.review_reason IS NULL AND w.invoice_expires_at > now()
        AND payouts_frozen(w.workspace_id, w.node) IS NULL
    RETURNING w.*
), sent AS (
    INSERT INTO withdrawal_send (withdrawal_id, number, deadline, predecessor_index, predecessor_created_ns)
    SELECT l.id, l.sends, now() + make_interval(secs => @window_s::float8),
        sqlc.narg(predecessor_index)::bigint, sqlc.narg(predecessor_created_ns)::bigint
    FROM licensed l
    RETURNING withdrawal_id, deadline
)
SELECT l.sends, s.deadline FROM licensed l JOIN sent s ON s.withdrawal_id = l.id;

-- EndSend notes how a send ended; what is not over is followed.
-- name: EndSend :exec
WITH ended AS (
    UPDATE withdrawal_send s SET ended_at = now(), outcome = @outcome::text
    WHERE s.withdrawal_id = @id AND s.number = @number AND s.ended_at IS NULL
    RETURNING s.withdrawal_id
)
UPDATE withdrawal w SET status = 'following', next_check_at = CASE WHEN w.review_reason IS NULL THEN now() + interval '60 seconds' END
WHERE w.id = @id AND w.status = 'sending' AND (SELECT count(*) FROM ended) >= 0;

-- NoteProgress keeps what the node last said, and when somebody looks again.
-- A finding that is null forgets the last one.
-- name: NoteProgress :exec
UPDATE withdrawal w SET
    status = CASE WHEN w.status = 'sending' THEN 'following' ELSE w.status END,
    checked_at = CASE WHEN @checked::boolean THEN now() ELSE w.checked_at END,
    payment_index = coalesce(sqlc.narg(payment_index)::bigint, w.payment_index),
    htlc_attempts = greatest(w.htlc_attempts, @htlc_attempts::int),
    htlc_expiry_height = @htlc_expiry_height::bigint,
    no_htlcs_since = CASE WHEN @no_htlcs::boolean THEN coalesce(w.no_htlcs_since, now()) END,
    -- What is not known today does not undo what was.
    absent_since = CASE WHEN @absent::boolean THEN coalesce(w.absent_since, now()) WHEN @keep_absent::boolean THEN w.absent_since END,
    finding = sqlc.narg(finding)::text,
    -- A first reading that still holds keeps its time: who looks often must
    -- come to an end too.
    finding_at = CASE WHEN sqlc.narg(finding)::text IS NULL THEN NULL
        WHEN @still_holds::boolean AND w.finding = sqlc.narg(finding)::text AND w.finding_sends = w.sends THEN w.finding_at
        ELSE now() END,
    finding_sends = CASE WHEN sqlc.narg(finding)::text IS NULL THEN NULL ELSE w.sends END,
    next_check_at = now() + make_interval(secs => @next_in_s::float8)
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND w.review_reason IS NULL AND w.sends = @sends;

-- NoteFinding keeps the first of the two equal readings that an operator's
-- command rests on, and the time of one that still holds; under review too.
-- name: NoteFinding :exec
UPDATE withdrawal w SET finding = @finding::text, finding_sends = w.sends,
    finding_at = CASE WHEN @still_holds::boolean THEN coalesce(w.finding_at, now()) ELSE now() END,
    next_check_at = CASE WHEN w.review_reason IS NULL THEN now() + make_interval(secs => @next_in_s::float8) END
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND w.sends = @sends;

-- NoteAbsence notes what the channels say of the HTLC when a command asks; under
-- review too.
-- name: NoteAbsence :exec
UPDATE withdrawal w SET absent_since = CASE WHEN @absent::boolean THEN coalesce(w.absent_since, now()) END
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND w.sends = @sends
    AND @absent::boolean IS DISTINCT FROM (w.absent_since IS NOT NULL);

-- PostponeWithdrawal only says when somebody looks again.
-- name: PostponeWithdrawal :exec
UPDATE withdrawal w SET next_check_at = now() + make_interval(secs => @next_in_s::float8)
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND w.review_reason IS NULL;

-- ReviewWithdrawal stops what is automatic, if the row still has the number of
-- send rows that was judged by: a run that was paused must not take for foreign
-- what another has sent since.
-- name: ReviewWithdrawal :execrows
UPDATE withdrawal w SET review_reason = @reason::text, next_check_at = NULL,
    finding = NULL, finding_at = NULL, finding_sends = NULL
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND w.review_reason IS NULL AND w.sends = @sends;

-- name: EndReview :execrows
UPDATE withdrawal w SET review_reason = NULL, next_check_at = now() + interval '60 seconds'
WHERE w.id = @id AND w.review_reason IS NOT NULL;

-- SucceedWithdrawal is the compare-and-swap to succeeded. Under review only an
-- operator's resolution may.
-- name: SucceedWithdrawal :one
WITH closed AS (
    UPDATE withdrawal_send s SET ended_at = now(), outcome = 'succeeded'
    WHERE s.withdrawal_id = @id AND s.ended_at IS NULL
)
UPDATE withdrawal w SET status = 'succeeded', preimage = @preimage::bytea, fee_msat = @fee_msat,
    payment_index = coalesce(sqlc.narg(payment_index)::bigint, w.payment_index),
    htlc_attempts = greatest(w.htlc_attempts, @htlc_attempts::int),
    completed_at = now(), next_check_at = NULL, review_reason = NULL,
    finding = NULL, finding_at = NULL, finding_sends = NULL
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND (w.review_reason IS NULL OR @resolving::boolean)
RETURNING *;

-- FailWithdrawal is the compare-and-swap to failed: only with the number of
-- send rows that was judged by, and not while its node has gone back in time.
-- at_once is the void on the stream of the only send, which a freeze holds up.
-- name: FailWithdrawal :one
WITH closed AS (
    UPDATE withdrawal_send s SET ended_at = now(), outcome = 'failed'
    WHERE s.withdrawal_id = @id AND s.ended_at IS NULL
)
UPDATE withdrawal w SET status = 'failed', failure_code = @failure_code::text, completed_at = now(),
    payment_index = coalesce(sqlc.narg(payment_index)::bigint, w.payment_index),
    htlc_attempts = greatest(w.htlc_attempts, @htlc_attempts::int),
    next_check_at = NULL, review_reason = NULL, finding = NULL, finding_at = NULL, finding_sends = NULL
WHERE w.id = @id AND w.status IN ('held', 'sending', 'following') AND w.sends = @sends
    AND (w.review_reason IS NULL OR @resolving::boolean)
    AND NOT EXISTS (SELECT FROM node n WHERE n.name = w.node AND n.regressed_at IS NOT NULL)
    AND (NOT @at_once::boolean OR payouts_frozen(w.workspace_id, w.node) IS NULL)
RETURNING *;

-- name: UnclaimCharge :one
UPDATE charge SET settling_by = NULL WHERE id = @charge_id AND settling_by = @withdrawal_id::text
RETURNING id, workspace_id, amount_msat;

-- PayChargeByBook is step 3 of a book transfer, for the withdrawal that claimed
-- the charge.
-- name: PayChargeByBook :one
UPDATE charge SET status = 'paid', amount_paid_msat = amount_msat, paid_at = now(), closed_at = now(), next_check_at = NULL
WHERE id = @charge_id AND status = 'pending' AND settling_by = @withdrawal_id::text
RETURNING *;

-- name: GetWithdrawal :one
SELECT * FROM withdrawal WHERE id = @id;

-- name: ListSends :many
SELECT * FROM withdrawal_send WHERE withdrawal_id = @withdrawal_id ORDER BY number;

-- name: NotifyChange :exec
SELECT pg_notify('lntpay_change', @id::text);

-- name: OpenResolution :one
SELECT * FROM withdrawal_resolution WHERE withdrawal_id = @withdrawal_id AND outcome IS NULL;

-- name: CloseResolution :execrows
UPDATE withdrawal_resolution SET outcome = @outcome::text, detail = @detail::text, judged_at = now()
WHERE id = @id AND outcome IS NULL;

-- Withdrawals whose run should have come back by now. See SweepCharges.
-- name: SweepWithdrawals :many
UPDATE withdrawal w SET next_check_at = now()
WHERE w.id IN (
    SELECT x.id FROM withdrawal x WHERE x.next_check_at < now() - interval '60 seconds'
    ORDER BY x.next_check_at LIMIT @max_rows FOR UPDATE SKIP LOCKED
)
RETURNING w.id, w.workspace_id, w.amount_msat;

-- Commands that no run has judged: a nudge was lost.
-- name: UnjudgedResolutions :many
SELECT w.id, w.workspace_id, w.amount_msat FROM withdrawal_resolution r JOIN withdrawal w ON w.id = r.withdrawal_id
WHERE r.outcome IS NULL AND r.created_at < now() - interval '10 seconds' ORDER BY r.id LIMIT @max_rows;

-- What a change on the node's stream of payments is about: the withdrawals of
-- the hashes that are followed.
-- name: FollowedByHash :many
SELECT w.id, w.workspace_id, w.amount_msat, w.payment_hash FROM withdrawal w
WHERE w.node = @node AND w.payment_hash = ANY(@payment_hashes::bytea[]) AND w.status = 'following';

-- name: FollowedWithdrawals :many
SELECT w.id, w.workspace_id, w.amount_msat FROM withdrawal w
WHERE w.node = @node AND w.status = 'following' AND w.review_reason IS NULL
ORDER BY w.checked_at NULLS FIRST, w.id LIMIT @max_rows;

-- Live withdrawals of the hashes: those explain a payment.
-- name: LiveHashes :many
SELECT w.payment_hash, (w.status = 'succeeded')::boolean AS succeeded FROM withdrawal w
WHERE w.payment_hash = ANY(@payment_hashes::bytea[]) AND w.status <> 'failed';

-- name: LastVoided :many
SELECT DISTINCT ON (w.payment_hash) w.payment_hash, w.id, w.workspace_id FROM withdrawal w
WHERE w.payment_hash = ANY(@payment_hashes::bytea[]) AND w.status = 'failed'
ORDER BY w.payment_hash, w.id DESC;

-- WorstInFlight is what an operator should know of the payments that a node was
-- asked to make: which HTLC must end first, and how hard the node tries.
-- name: WorstInFlight :one
SELECT coalesce(min(htlc_expiry_height) FILTER (WHERE htlc_expiry_height > 0), 0)::bigint AS soonest_expiry_height,
    coalesce(max(htlc_attempts), 0)::bigint AS most_attempts
FROM withdrawal WHERE node = @node AND kind = 'lightning' AND status IN ('sending', 'following');
