-- "Pending" is said in three ways, so that each query can be planned with one index only, also as long
-- as Postgres has no statistics of a backlog: `= 'pending'` goes by owner, `IS NOT DISTINCT FROM` by
-- lane, and what is looked up by its id says `NOT IN`, which fits neither.

-- name: streams
-- Every (kind, partition, tenant, class) that has pending work. Hops from one to the next in the index,
-- so that the cost is that of the streams and not that of the backlog.
WITH RECURSIVE stream AS (
    (
        SELECT kind, origin_partition, tenant_id, replayed FROM syncs
        WHERE state = 'pending'
        ORDER BY kind, origin_partition, tenant_id, replayed LIMIT 1
    )
    UNION ALL
    SELECT hop.kind, hop.origin_partition, hop.tenant_id, hop.replayed
    FROM stream, LATERAL (
        SELECT syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed FROM syncs
        WHERE syncs.state = 'pending'
          AND (syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed)
            > (stream.kind, stream.origin_partition, stream.tenant_id, stream.replayed)
        ORDER BY syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed LIMIT 1
    ) AS hop
)
SELECT kind, origin_partition, tenant_id, replayed FROM stream

-- name: page
-- The next pending syncs of one stream, in order. Bounds instead of equalities: the order that they ask
-- for is that of one index only, in which nothing else is in the way.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, doubted_payload, event_id,
       event_time, traceparent, tracestate, origin_topic, origin_partition, origin_offset, seq, lane,
       generation, dispatched_at, dispatch_token, in_doubt_since, attempts, next_attempt_at, sedna_rec_id,
       sedna_hotel_id, registered_at, replayed,
       replayed OR replay_id IS NOT NULL AS of_replay
FROM syncs
WHERE state = 'pending'
  AND (kind, origin_partition, tenant_id, replayed, seq) > ($1, $2, $3, $4, $5)
  AND (kind, origin_partition, tenant_id, replayed) <= ($1, $2, $3, $4)
ORDER BY kind, origin_partition, tenant_id, replayed, seq
LIMIT $6

-- name: unresolved
-- The next pending stop sales of a tenant whose hotel is not resolved yet, in order, before a place in the
-- work.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, doubted_payload, event_id,
       event_time, traceparent, tracestate, origin_topic, origin_partition, origin_offset, seq, lane,
       generation, dispatched_at, dispatch_token, in_doubt_since, attempts, next_attempt_at, sedna_rec_id,
       sedna_hotel_id, registered_at, replayed,
       replayed OR replay_id IS NOT NULL AS of_replay
FROM syncs
WHERE state IS NOT DISTINCT FROM 'pending'
  AND tenant_id = $1 AND lane IS NULL AND seq > $2 AND seq < $3
ORDER BY tenant_id, lane, seq
LIMIT $4

-- name: earlier_in_lane
-- The first pending syncs of a lane, in order, before a place in the work.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, doubted_payload, event_id,
       event_time, traceparent, tracestate, origin_topic, origin_partition, origin_offset, seq, lane,
       generation, dispatched_at, dispatch_token, in_doubt_since, attempts, next_attempt_at, sedna_rec_id,
       sedna_hotel_id, registered_at, replayed,
       replayed OR replay_id IS NOT NULL AS of_replay
FROM syncs
WHERE state IS NOT DISTINCT FROM 'pending'
  AND tenant_id = $1 AND lane = $2 AND seq < $3
ORDER BY tenant_id, lane, seq
LIMIT $4

-- name: synced_behind
-- Synced stop sales of a hotel that touch some days and stand behind an event: in its partition by their
-- offset, elsewhere by their time; the last ones first. Bounds instead of equalities: see page. One without
-- a lane was found in Sedna before its lane was stored.
SELECT id, stop_sale_id, payload FROM (
    (
        SELECT * FROM syncs
        WHERE kind = 'stop_sale' AND state IS NOT DISTINCT FROM 'synced'
          AND (tenant_id, lane, origin_topic, origin_partition, origin_offset) > ($1, $2, $3, $4, $5)
          AND (tenant_id, lane, origin_topic, origin_partition) <= ($1, $2, $3, $4)
          AND payload ->> 'date_from' <= $8 AND payload ->> 'date_to' >= $7
        ORDER BY tenant_id DESC, lane DESC, origin_topic DESC, origin_partition DESC, origin_offset DESC
        LIMIT $9
    )
    UNION ALL
    (
        SELECT * FROM syncs
        WHERE kind = 'stop_sale' AND state IS NOT DISTINCT FROM 'synced'
          AND (tenant_id, lane) >= ($1, $2)
          AND (tenant_id, lane, origin_topic, origin_partition) < ($1, $2, $3, $4)
          AND event_time > $6
          AND payload ->> 'date_from' <= $8 AND payload ->> 'date_to' >= $7
        ORDER BY tenant_id DESC, lane DESC, origin_topic DESC, origin_partition DESC, origin_offset DESC
        LIMIT $9
    )
    UNION ALL
    (
        SELECT * FROM syncs
        WHERE kind = 'stop_sale' AND state IS NOT DISTINCT FROM 'synced'
          AND (tenant_id, lane, origin_topic, origin_partition) > ($1, $2, $3, $4)
          AND (tenant_id, lane) <= ($1, $2)
          AND event_time > $6
          AND payload ->> 'date_from' <= $8 AND payload ->> 'date_to' >= $7
        ORDER BY tenant_id DESC, lane DESC, origin_topic DESC, origin_partition DESC, origin_offset DESC
        LIMIT $9
    )
    UNION ALL
    (
        SELECT * FROM syncs
        WHERE kind = 'stop_sale' AND state IS NOT DISTINCT FROM 'synced'
          AND tenant_id = $1 AND lane IS NULL AND sedna_hotel_id = $10
          AND CASE
              WHEN (origin_topic, origin_partition) = ($3, $4) THEN origin_offset > $5
              ELSE event_time > $6
          END
          AND payload ->> 'date_from' <= $8 AND payload ->> 'date_to' >= $7
        ORDER BY tenant_id DESC, lane DESC, origin_topic DESC, origin_partition DESC, origin_offset DESC
        LIMIT $9
    )
) AS behind
ORDER BY (origin_topic, origin_partition) = ($3, $4) DESC, event_time DESC NULLS LAST, origin_offset DESC

-- name: store_lanes_ahead
-- As store_lanes, for stop sales that are not in memory. Who has loaded one meanwhile knows better.
UPDATE syncs SET lane = resolved.lane
FROM unnest(
    $1::bigint[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::integer[], $7::bigint[]
) AS resolved (id, tenant_id, generation, lane, lease_topic, lease_partition, lease_epoch)
JOIN partition_leases AS lease ON lease.topic = resolved.lease_topic
    AND lease.partition = resolved.lease_partition AND lease.epoch = resolved.lease_epoch
WHERE syncs.id = resolved.id
  AND syncs.tenant_id = resolved.tenant_id
  AND syncs.generation = resolved.generation
  AND syncs.state NOT IN ('synced', 'failed')
  AND syncs.lane IS NULL
RETURNING syncs.id

-- name: store_lanes
-- The lanes of stop sales, as soon as their hotels are resolved; not by who holds the partition no more,
-- since the hotel may be another one by now. No lock: the next holder resolves it once more anyway.
UPDATE syncs SET lane = resolved.lane
FROM unnest(
    $1::bigint[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::integer[], $7::bigint[]
) AS resolved (id, tenant_id, generation, lane, lease_topic, lease_partition, lease_epoch)
JOIN partition_leases AS lease ON lease.topic = resolved.lease_topic
    AND lease.partition = resolved.lease_partition AND lease.epoch = resolved.lease_epoch
WHERE syncs.id = resolved.id
  AND syncs.tenant_id = resolved.tenant_id
  AND syncs.generation = resolved.generation
  AND syncs.state NOT IN ('synced', 'failed')

-- name: mark
-- The dispatch mark. Refused (the row does not come back) while an earlier sync of the lane is
-- pending anywhere, or an earlier stop sale of the tenant whose lane is still unknown; and of a sync
-- whose own lane is unknown, since nothing could be said of its order. A sync that is marked already is
-- marked again only by the same attempt (its first commit's reply was lost), or if that very doubt was
-- settled by proof that Sedna lacks the record; and only by who holds the partition's lease.
WITH wanted AS (
    SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::timestamptz[],
        $7::text[], $8::integer[], $9::bigint[]
    ) AS given (
        id, tenant_id, generation, hotel_id, token, doubt_since, lease_topic, lease_partition, lease_epoch
    )
), held AS MATERIALIZED (
    -- Locked until the commit: who takes a lease over finds all that was written under it.
    SELECT lease.topic, lease.partition, lease.epoch FROM partition_leases AS lease
    WHERE (lease.topic, lease.partition) IN (SELECT lease_topic, lease_partition FROM wanted)
    FOR SHARE OF lease
)
UPDATE syncs
SET dispatched_at = now(),
    dispatch_token = wanted.token,
    in_doubt_since = NULL,
    doubted_payload = NULL,
    sedna_hotel_id = wanted.hotel_id,
    updated_at = now()
FROM wanted JOIN held ON held.topic = wanted.lease_topic
    AND held.partition = wanted.lease_partition AND held.epoch = wanted.lease_epoch
WHERE syncs.id = wanted.id
  AND syncs.tenant_id = wanted.tenant_id
  AND syncs.generation = wanted.generation
  AND syncs.state NOT IN ('synced', 'failed')
  AND (
      syncs.dispatched_at IS NULL
      OR syncs.dispatch_token = wanted.token
      OR syncs.in_doubt_since = wanted.doubt_since
  )
  AND syncs.lane IS NOT NULL
  -- One look into the index for each, which a join with all that is pending could not promise.
  AND (
      SELECT earlier.id FROM syncs AS earlier
      WHERE earlier.state IS NOT DISTINCT FROM 'pending'
        AND earlier.tenant_id = syncs.tenant_id
        AND earlier.lane = syncs.lane
        AND earlier.seq < syncs.seq
      LIMIT 1
  ) IS NULL
  AND (
      syncs.kind = 'reservation'
      OR (
          SELECT earlier.id FROM syncs AS earlier
          WHERE earlier.state IS NOT DISTINCT FROM 'pending'
            AND earlier.tenant_id = syncs.tenant_id
            AND earlier.lane IS NULL
            AND earlier.seq < syncs.seq
          LIMIT 1
      ) IS NULL
  )
RETURNING syncs.id

-- name: record_step_one
-- The record that step 1 of a stop sale made, stored before step 2 names it.
WITH made AS (
    SELECT * FROM unnest(
        $1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::integer[], $7::bigint[]
    ) AS given (id, tenant_id, rec_id, hotel_id, lease_topic, lease_partition, lease_epoch)
), held AS MATERIALIZED (
    SELECT lease.topic, lease.partition, lease.epoch FROM partition_leases AS lease
    WHERE (lease.topic, lease.partition) IN (SELECT lease_topic, lease_partition FROM made)
    FOR SHARE OF lease
)
UPDATE syncs SET sedna_rec_id = made.rec_id, sedna_hotel_id = made.hotel_id, updated_at = now()
FROM made JOIN held ON held.topic = made.lease_topic
    AND held.partition = made.lease_partition AND held.epoch = made.lease_epoch
WHERE syncs.id = made.id
  AND syncs.tenant_id = made.tenant_id
  AND syncs.state NOT IN ('synced', 'failed')
RETURNING syncs.id

-- name: hold
-- What a former owner left marked and unsettled was perhaps sent: in doubt since the mark. A stop sale
-- whose record is known is not in doubt: step 2 can be repeated.
WITH held AS MATERIALIZED (
    SELECT lease.epoch FROM partition_leases AS lease
    WHERE lease.topic = $3 AND lease.partition = $4 AND lease.epoch = $5
    FOR SHARE OF lease
)
UPDATE syncs SET in_doubt_since = coalesce(in_doubt_since, dispatched_at), updated_at = now()
FROM unnest($1::bigint[], $2::text[]) AS left_over (id, tenant_id) CROSS JOIN held
WHERE syncs.id = left_over.id
  AND syncs.tenant_id = left_over.tenant_id
  AND syncs.state NOT IN ('synced', 'failed')
  AND syncs.dispatched_at IS NOT NULL
  AND syncs.sedna_rec_id IS NULL
RETURNING syncs.id, syncs.in_doubt_since

-- name: is_marked_by_other
-- Whether a sync that nobody has settled yet carries another mark than the one that is known.
SELECT dispatched_at IS NOT NULL AND dispatch_token IS DISTINCT FROM $3 FROM syncs
WHERE id = $1 AND tenant_id = $2 AND state NOT IN ('synced', 'failed')
