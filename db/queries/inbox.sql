-- name: insert
-- New work of one batch. An identity that exists is left alone. Every arrival is given its place in
-- the order of the work, new or not: `renew` puts one that is tried anew there, so that the order of
-- the topic holds between the two.
WITH arrival AS MATERIALIZED (
    SELECT *, nextval('syncs_seq') AS seq FROM (
        SELECT * FROM unnest(
            $1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bytea[],
            $8::text[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::integer[],
            $14::bigint[], $15::text[], $16::bytea[]
        ) WITH ORDINALITY AS given (
            tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, content_hash,
            event_id, event_time, traceparent, tracestate, origin_topic, origin_partition,
            origin_offset, lane, event_fingerprint, place
        )
        ORDER BY place
    ) AS ordered
), inserted AS (
    INSERT INTO syncs (
        tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, content_hash,
        event_id, event_time, traceparent, tracestate, origin_topic, origin_partition, origin_offset,
        lane, seq, event_fingerprint, replay_id, replayed
    )
    SELECT
        tenant_id, kind, email_id, voucher_no, stop_sale_id, payload::jsonb, content_hash,
        event_id, event_time, traceparent, tracestate, origin_topic, origin_partition, origin_offset,
        lane, seq, event_fingerprint, $17, $17::bigint IS NOT NULL
    FROM arrival
    ORDER BY place
    ON CONFLICT (tenant_id, kind, business_key) DO NOTHING
    RETURNING id, seq, registered_at
)
SELECT arrival.seq, inserted.id, inserted.registered_at
FROM arrival LEFT JOIN inserted USING (seq)
ORDER BY arrival.place

-- name: existing
-- What is known of identities that were there already; locked, since a settlement may be under way.
SELECT id, tenant_id, kind, business_key, state, content_hash, event_id, origin_topic, origin_partition,
       origin_offset, earlier_events, in_doubt_since, generation, error_code, replay_id, replayed
FROM syncs
WHERE (tenant_id, kind, business_key) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
ORDER BY id
FOR UPDATE

-- name: look
-- The same for who only looks.
SELECT id, tenant_id, kind, business_key, state, content_hash, event_id, origin_topic, origin_partition,
       origin_offset, earlier_events, in_doubt_since, generation, error_code, replay_id, replayed
FROM syncs
WHERE (tenant_id, kind, business_key) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))

-- name: recognise
-- Which of the events of one topic are, to the byte, those that rows are made of; with the rows' ids, by
-- what has become of them. A row whose event has another fingerprint is left to who can parse.
SELECT syncs.state, syncs.in_doubt_since IS NOT NULL AS in_doubt, syncs.error_code,
       array_agg(given.place) AS places, array_agg(syncs.id) AS ids
FROM unnest(
    -- The kind of each, so that no index of one kind looks as good as that of the identity.
    $2::text[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::bytea[]
) WITH ORDINALITY AS given (
    tenant_id, kind, business_key, origin_partition, origin_offset, event_fingerprint, place
)
JOIN syncs ON syncs.tenant_id = given.tenant_id
    AND syncs.kind = given.kind
    AND syncs.business_key = given.business_key
    AND syncs.origin_topic = $1
    AND syncs.origin_partition = given.origin_partition
    AND syncs.origin_offset = given.origin_offset
    AND syncs.event_fingerprint = given.event_fingerprint
GROUP BY syncs.state, syncs.in_doubt_since IS NOT NULL, syncs.error_code

-- name: promote
-- The events of these have come live as well: they give way to nobody any more.
UPDATE syncs SET replayed = false
FROM unnest($1::text[], $2::bigint[]) AS given (tenant_id, id)
WHERE syncs.id = given.id AND syncs.tenant_id = given.tenant_id AND syncs.replayed
  AND syncs.state NOT IN ('synced', 'failed')
RETURNING syncs.kind, syncs.origin_partition, syncs.tenant_id

-- name: renew
-- A failed sync is tried anew, with the new event's content, at the place that `insert` gave it.
UPDATE syncs
SET state = 'pending',
    generation = generation + 1,
    seq = arrival.seq,
    arrival_seq = NULL,
    email_id = arrival.email_id,
    payload = arrival.payload::jsonb,
    content_hash = arrival.content_hash,
    -- What was sent is what Sedna has to be asked for, whatever the new event says.
    doubted_payload = CASE
        WHEN syncs.in_doubt_since IS NOT NULL AND syncs.content_hash <> arrival.content_hash
        THEN coalesce(syncs.doubted_payload, syncs.payload)
        ELSE syncs.doubted_payload
    END,
    -- So that a replay can tell them from news. The last hundred are remembered.
    earlier_events = (array_prepend(
        format(
            '%s:%s:%s:%s', syncs.origin_topic, syncs.origin_partition, syncs.origin_offset, syncs.event_id
        ),
        syncs.earlier_events
    ))[1:100],
    event_id = arrival.event_id,
    event_time = arrival.event_time,
    traceparent = arrival.traceparent,
    tracestate = arrival.tracestate,
    origin_topic = arrival.origin_topic,
    origin_partition = arrival.origin_partition,
    origin_offset = arrival.origin_offset,
    lane = arrival.lane,
    event_fingerprint = arrival.event_fingerprint,
    replay_id = $16,
    replayed = $16::bigint IS NOT NULL,
    attempts = 0,
    next_attempt_at = NULL,
    error_code = NULL,
    error_message = NULL,
    error_details = NULL,
    registered_at = now(),
    updated_at = now(),
    settled_at = NULL
FROM unnest(
    $1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[], $7::text[],
    $8::text[], $9::text[], $10::integer[], $11::bigint[], $12::text[], $13::bytea[], $14::bigint[],
    $15::text[]
) AS arrival (
    id, email_id, payload, content_hash, event_id, event_time, traceparent, tracestate,
    origin_topic, origin_partition, origin_offset, lane, event_fingerprint, seq, tenant_id
)
WHERE syncs.id = arrival.id
  AND syncs.tenant_id = arrival.tenant_id
  -- Not `= 'failed'`: by its id, and not by the index of what has failed.
  AND syncs.state NOT IN ('pending', 'synced')
RETURNING syncs.id, syncs.seq, syncs.tenant_id, syncs.kind, syncs.business_key, syncs.registered_at,
          syncs.generation, syncs.in_doubt_since, syncs.doubted_payload, syncs.dispatch_token,
          syncs.sedna_rec_id, syncs.sedna_hotel_id

-- name: reject
-- Events that could not be read; a redelivery of the same bytes is stored once.
INSERT INTO rejections (
    origin_topic, origin_partition, origin_offset, origin_timestamp, key, value, headers, digest,
    tenant_id, event_id, error_code, error_message, error_details
)
SELECT
    origin_topic, origin_partition, origin_offset, origin_timestamp, key, value, headers, digest,
    tenant_id, event_id, error_code, error_message, error_details::jsonb
FROM unnest(
    $1::text[], $2::integer[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::bytea[], $7::bytea[],
    $8::bytea[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[]
) AS rejection (
    origin_topic, origin_partition, origin_offset, origin_timestamp, key, value, headers, digest,
    tenant_id, event_id, error_code, error_message, error_details
)
ON CONFLICT (origin_topic, origin_partition, origin_offset, digest) DO NOTHING
RETURNING origin_topic, origin_partition, origin_offset, digest

-- name: add_conflicts
-- Events that are answered with a conflict; one that was answered before does not come back.
INSERT INTO conflicts (origin_topic, origin_partition, origin_offset, digest, tenant_id)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::text[])
ON CONFLICT DO NOTHING
RETURNING origin_topic, origin_partition, origin_offset, digest
