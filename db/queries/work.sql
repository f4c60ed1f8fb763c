-- name: streams
-- Every (kind, partition, tenant) that has pending work. Hops from one to the next in the index,
-- so that the cost is that of the streams and not that of the backlog.
WITH RECURSIVE stream AS (
    (
        SELECT kind, origin_partition, tenant_id FROM syncs
        WHERE state = 'pending'
        ORDER BY kind, origin_partition, tenant_id LIMIT 1
    )
    UNION ALL
    SELECT hop.kind, hop.origin_partition, hop.tenant_id
    FROM stream, LATERAL (
        SELECT syncs.kind, syncs.origin_partition, syncs.tenant_id FROM syncs
        WHERE syncs.state = 'pending'
          AND (syncs.kind, syncs.origin_partition, syncs.tenant_id)
            > (stream.kind, stream.origin_partition, stream.tenant_id)
        ORDER BY syncs.kind, syncs.origin_partition, syncs.tenant_id LIMIT 1
    ) AS hop
)
SELECT kind, origin_partition, tenant_id FROM stream

-- name: page
-- The next pending syncs of one stream, in order.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, payload, event_id, event_time,
       traceparent, origin_topic, origin_partition, origin_offset, seq, lane, generation,
       dispatched_at, in_doubt_since, attempts, next_attempt_at, sedna_rec_id, registered_at
FROM syncs
WHERE state = 'pending' AND kind = $1 AND origin_partition = $2 AND tenant_id = $3 AND seq > $4
ORDER BY seq
LIMIT $5

-- name: store_lanes
-- The lanes of stop sales, as soon as their hotels are resolved.
UPDATE syncs SET lane = resolved.lane
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS resolved (id, tenant_id, lane)
WHERE syncs.id = resolved.id AND syncs.tenant_id = resolved.tenant_id AND syncs.state = 'pending'

-- name: mark
-- The dispatch mark. Refused (the row does not come back) while an earlier sync of the lane is
-- pending anywhere, or an earlier stop sale of the tenant whose lane is still unknown; and of a sync
-- whose own lane is unknown, since nothing could be said of its order.
UPDATE syncs SET dispatched_at = now(), updated_at = now()
FROM unnest($1::bigint[], $2::text[]) AS wanted (id, tenant_id)
WHERE syncs.id = wanted.id
  AND syncs.tenant_id = wanted.tenant_id
  AND syncs.state = 'pending'
  AND syncs.dispatched_at IS NULL
  AND syncs.lane IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM syncs AS earlier
      WHERE earlier.state = 'pending'
        AND earlier.tenant_id = syncs.tenant_id
        AND earlier.lane = syncs.lane
        AND earlier.seq < syncs.seq
  )
  AND (
      syncs.kind = 'reservation'
      OR NOT EXISTS (
          SELECT FROM syncs AS earlier
          WHERE earlier.state = 'pending'
            AND earlier.tenant_id = syncs.tenant_id
            AND earlier.lane IS NULL
            AND earlier.seq < syncs.seq
      )
  )
RETURNING syncs.id

-- name: record_step_one
-- The record that step 1 of a stop sale made, stored before step 2 names it.
UPDATE syncs SET sedna_rec_id = made.rec_id, sedna_hotel_id = made.hotel_id, updated_at = now()
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS made (id, tenant_id, rec_id, hotel_id)
WHERE syncs.id = made.id AND syncs.tenant_id = made.tenant_id AND syncs.state = 'pending'
RETURNING syncs.id

-- name: hold_unsettled
-- What a process left marked and unsettled was perhaps sent: in doubt since the mark. A stop sale
-- whose record is known is not in doubt: step 2 can be repeated.
UPDATE syncs SET in_doubt_since = coalesce(in_doubt_since, dispatched_at), updated_at = now()
WHERE state = 'pending' AND kind = $1 AND origin_partition = $2 AND tenant_id = $3
  AND dispatched_at IS NOT NULL AND in_doubt_since IS NULL AND sedna_rec_id IS NULL

-- name: still_pending
-- Which of these syncs nobody has settled yet.
SELECT id FROM syncs WHERE id = ANY($1::bigint[]) AND state = 'pending'
