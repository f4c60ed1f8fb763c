-- name: insert
-- New work of one batch. An identity that exists is left alone. Every arrival is given its place in
-- the order of the work, new or not: `renew` puts one that is tried anew there, so that the order of
-- the topic holds between the two.
WITH arrival AS MATERIALIZED (
    SELECT *, nextval('syncs_seq') AS seq FROM (
        SELECT * FROM unnest(
            $1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::bytea[],
            $8::text[], $9::timestamptz[], $10::text[], $11::text[], $12::integer[], $13::bigint[],
            $14::text[]
        ) WITH ORDINALITY AS given (
            tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, content_hash,
            event_id, event_time, traceparent, origin_topic, origin_partition, origin_offset, lane, place
        )
        ORDER BY place
    ) AS ordered
), inserted AS (
    INSERT INTO syncs (
        tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, content_hash,
        event_id, event_time, traceparent, origin_topic, origin_partition, origin_offset, lane, seq
    )
    SELECT
        tenant_id, kind, email_id, voucher_no, stop_sale_id, payload::jsonb, content_hash,
        event_id, event_time, traceparent, origin_topic, origin_partition, origin_offset, lane, seq
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
SELECT id, tenant_id, kind, business_key, state, content_hash, event_id,
       origin_topic, origin_partition, origin_offset, earlier_events, in_doubt_since
FROM syncs
WHERE (tenant_id, kind, business_key) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
ORDER BY id
FOR UPDATE

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
    origin_topic = arrival.origin_topic,
    origin_partition = arrival.origin_partition,
    origin_offset = arrival.origin_offset,
    lane = arrival.lane,
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
    $8::text[], $9::integer[], $10::bigint[], $11::text[], $12::bigint[], $13::text[]
) AS arrival (
    id, email_id, payload, content_hash, event_id, event_time, traceparent,
    origin_topic, origin_partition, origin_offset, lane, seq, tenant_id
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
