-- Runs of `sedna-sync replay`: what each was told to do, how far it has come, and what it has found.

-- name: begin
INSERT INTO replays (asked, last_sync_id)
VALUES ($1::jsonb, coalesce((SELECT id FROM syncs ORDER BY id DESC LIMIT 1), 0))
RETURNING id

-- name: add_positions
INSERT INTO replay_positions (replay_id, topic, partition, first_offset, end_offset, position)
SELECT $1, topic, partition, first_offset, end_offset, first_offset
FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[])
    AS given (topic, partition, first_offset, end_offset)

-- name: latest
-- The last one that was told to do this, or the last of all; what is not finished before what is.
SELECT id, asked, finished_at IS NOT NULL AS finished FROM replays
WHERE $1::jsonb IS NULL OR asked = $1::jsonb
ORDER BY finished_at IS NULL DESC, id DESC LIMIT 1

-- name: by_id
SELECT id, asked, finished_at IS NOT NULL AS finished FROM replays WHERE id = $1

-- name: positions
SELECT topic, partition, first_offset, end_offset, position, expired, last_offset, last_digest
FROM replay_positions WHERE replay_id = $1
ORDER BY topic, partition

-- name: advance
-- From where each was to where it is now; one that somebody else has moved does not come back.
UPDATE replay_positions AS at
SET position = given.position,
    expired = given.expired,
    last_offset = given.last_offset,
    last_digest = given.last_digest
FROM unnest(
    $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[]
) AS given (topic, partition, was, position, expired, last_offset, last_digest)
WHERE at.replay_id = $1 AND at.topic = given.topic AND at.partition = given.partition
  AND at.position = given.was
RETURNING at.topic, at.partition

-- name: count
INSERT INTO replay_counts (replay_id, tenant_id, kind, outcome, code, events)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
ON CONFLICT (replay_id, tenant_id, kind, outcome, code)
DO UPDATE SET events = replay_counts.events + excluded.events

-- name: counts
SELECT tenant_id, kind, outcome, code, events FROM replay_counts WHERE replay_id = $1

-- name: finish
UPDATE replays SET finished_at = now() WHERE id = $1 AND finished_at IS NULL

-- name: lock
-- One process at a time runs a replay; held until the connection ends.
SELECT pg_try_advisory_lock($1, $2)

-- name: results
-- What is remembered of the results of settled syncs.
SELECT syncs.id, syncs.tenant_id, kind, email_id, stop_sale_id, voucher_no, syncs.generation, attempts,
       event_id, origin_topic, origin_partition, origin_offset, traceparent, tracestate, state, syncs.sedna_rec_id,
       sedna_hotel_id, adopted, syncs.error_code, syncs.error_message, error_details, result_message,
       result_event, payload ->> 'hotel_name' AS hotel_name,
       coalesce(attempt.finished_at, syncs.settled_at) AS settled_at
FROM unnest($1::text[], $2::bigint[]) AS asked (tenant_id, id)
JOIN syncs ON syncs.id = asked.id AND syncs.tenant_id = asked.tenant_id
LEFT JOIN LATERAL (
    SELECT finished_at FROM sync_attempts
    WHERE sync_attempts.sync_id = syncs.id
    ORDER BY sync_attempts.id DESC LIMIT 1
) AS attempt ON true
WHERE state NOT IN ('pending')

-- name: unpublished
-- Whether this many messages wait for Kafka; reads no more of them.
SELECT count(*) >= $1 FROM (SELECT FROM outbox ORDER BY id LIMIT $1) AS waiting

-- name: make_memory
-- Of a dry run alone: what it would have made of the events before.
CREATE TEMPORARY TABLE replay_memory (identity bytea PRIMARY KEY, content_hash bytea NOT NULL)

-- name: recall
SELECT identity, content_hash FROM replay_memory WHERE identity = ANY ($1::bytea[])

-- name: remember
INSERT INTO replay_memory SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT DO NOTHING

-- name: pace
-- How long Sedna took for each of these tenants' last successes, by kind; among those before a replay,
-- whose own are not done yet. Bounds instead of an equality: see history.page.
SELECT asked.tenant_id, recent.kind, avg(attempt.seconds) AS seconds
FROM unnest($1::text[]) AS asked (tenant_id),
LATERAL (
    SELECT syncs.id, syncs.kind FROM syncs
    WHERE (syncs.tenant_id, syncs.id) <= (asked.tenant_id, coalesce(
        (SELECT last_sync_id FROM replays WHERE replays.id = $2), 9223372036854775807
    ))
      AND (syncs.tenant_id, syncs.id) >= (asked.tenant_id, 0::bigint)
    ORDER BY syncs.tenant_id DESC, syncs.id DESC LIMIT 200
) AS recent,
LATERAL (
    SELECT extract(epoch FROM finished_at - started_at)::double precision AS seconds
    FROM sync_attempts
    WHERE sync_attempts.sync_id = recent.id AND sync_attempts.outcome = 'synced'
    ORDER BY sync_attempts.id DESC LIMIT 1
) AS attempt
GROUP BY asked.tenant_id, recent.kind
