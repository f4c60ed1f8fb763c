-- name: settle
-- What came of a group of attempts: status, history and result events, all or nothing.
WITH settlement AS (
    SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[],
        $8::timestamptz[], $9::bigint[], $10::bigint[], $11::boolean[], $12::text[], $13::text[],
        $14::text[], $15::timestamptz[], $16::timestamptz[], $17::text[], $18::bytea[], $19::bytea[],
        $20::bigint[], $21::text[], $22::bytea[], $23::text[], $24::text[], $25::integer[], $26::bigint[],
        $27::text[], $28::boolean[]
    ) WITH ORDINALITY AS given (
        sync_id, tenant_id, generation, attempt, state, outcome, next_attempt_at,
        in_doubt_since, rec_id, hotel_id, adopted, error_code, error_message,
        error_details, started_at, finished_at, topic, value, headers,
        restored_email_id, restored_payload, restored_content_hash, token,
        lease_topic, lease_partition, lease_epoch, message,
        answered_otherwise, place
    )
), held AS MATERIALIZED (
    -- Locked until the commit: who takes a lease over finds all that was written under it.
    SELECT lease.topic, lease.partition, lease.epoch FROM partition_leases AS lease
    WHERE (lease.topic, lease.partition) IN (SELECT lease_topic, lease_partition FROM settlement)
    FOR SHARE OF lease
), settled AS (
    UPDATE syncs
    SET state = settlement.state,
        attempts = settlement.attempt,
        next_attempt_at = settlement.next_attempt_at,
        -- Who stays in doubt keeps the mark as well: it was sent.
        dispatched_at = CASE WHEN settlement.in_doubt_since IS NULL THEN NULL ELSE syncs.dispatched_at END,
        dispatch_token = CASE WHEN settlement.in_doubt_since IS NULL THEN NULL ELSE syncs.dispatch_token END,
        in_doubt_since = settlement.in_doubt_since,
        -- Kept while it is pending: a stop sale that was found has to be completed as it was sent.
        doubted_payload = CASE
            WHEN settlement.state <> 'pending' AND settlement.in_doubt_since IS NULL THEN NULL
            ELSE syncs.doubted_payload
        END,
        email_id = CASE
            WHEN settlement.restored_payload IS NULL THEN syncs.email_id ELSE settlement.restored_email_id
        END,
        payload = coalesce(settlement.restored_payload::jsonb, syncs.payload),
        content_hash = coalesce(settlement.restored_content_hash, syncs.content_hash),
        sedna_rec_id = coalesce(settlement.rec_id, syncs.sedna_rec_id),
        sedna_hotel_id = coalesce(settlement.hotel_id, syncs.sedna_hotel_id),
        adopted = settlement.adopted,
        error_code = settlement.error_code,
        error_message = settlement.error_message,
        error_details = settlement.error_details::jsonb,
        result_message = settlement.message,
        result_event = CASE WHEN settlement.answered_otherwise THEN settlement.value END,
        updated_at = now(),
        settled_at = CASE WHEN settlement.state = 'pending' THEN NULL ELSE now() END
    FROM settlement JOIN held ON held.topic = settlement.lease_topic
        AND held.partition = settlement.lease_partition AND held.epoch = settlement.lease_epoch
    WHERE syncs.id = settlement.sync_id
      AND syncs.tenant_id = settlement.tenant_id
      AND syncs.generation = settlement.generation
      -- Who was marked anew by another process meanwhile is that one's to settle.
      AND syncs.dispatch_token IS NOT DISTINCT FROM settlement.token
      -- Not `= 'pending'`: see work.sql.
      AND syncs.state NOT IN ('synced', 'failed')
    RETURNING syncs.id, syncs.kind, syncs.origin_partition
), history AS (
    INSERT INTO sync_attempts (
        sync_id, tenant_id, generation, attempt, outcome, error_code, error_message, sedna_rec_id,
        started_at, finished_at
    )
    SELECT sync_id, tenant_id, generation, attempt, outcome, error_code, error_message, rec_id,
           started_at, finished_at
    FROM settlement JOIN settled ON settled.id = settlement.sync_id
    ORDER BY place
), answered AS (
    INSERT INTO outbox (kind, origin_partition, tenant_id, topic, key, value, headers)
    SELECT settled.kind, settled.origin_partition, settlement.tenant_id, settlement.topic,
           convert_to(settlement.tenant_id, 'UTF8'), settlement.value, settlement.headers
    FROM settlement JOIN settled ON settled.id = settlement.sync_id
    WHERE settlement.topic IS NOT NULL
    ORDER BY place
    RETURNING id
)
SELECT (SELECT array_agg(id) FROM settled) AS settled, (SELECT min(id) FROM answered) AS first_outbox_id

-- name: settled_before
-- Which of these very attempts have settled their syncs already: a commit whose reply was lost. Nothing follows the
-- attempt that settled a sync, unless it was asked for again since.
SELECT given.sync_id
FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], $5::timestamptz[])
    AS given (sync_id, tenant_id, generation, attempt, started_at)
JOIN LATERAL (
    SELECT tenant_id, generation, attempt, started_at, outcome FROM sync_attempts
    WHERE sync_attempts.sync_id = given.sync_id
    ORDER BY sync_attempts.id DESC LIMIT 1
) AS latest ON latest.tenant_id = given.tenant_id
    AND latest.generation = given.generation
    AND latest.attempt = given.attempt
    AND latest.started_at = given.started_at
WHERE latest.outcome IN ('synced', 'failed')
