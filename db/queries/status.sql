-- For people who ask how things stand. Each reads what it counts and nothing else: the backlog, the
-- doubts, the failures, by the partial index of each; never what is synced.

-- name: now
SELECT now()

-- name: tenants
SELECT tenant_id, is_active FROM tenant_settings

-- name: tenant
SELECT tenant_id, is_active FROM tenant_settings WHERE tenant_id = $1

-- name: partitions
-- Every (kind, partition) that has pending work, hopping as work.streams does.
WITH RECURSIVE busy AS (
    (
        SELECT kind, origin_partition FROM syncs
        WHERE state = 'pending'
        ORDER BY kind, origin_partition LIMIT 1
    )
    UNION ALL
    SELECT hop.kind, hop.origin_partition
    FROM busy, LATERAL (
        SELECT syncs.kind, syncs.origin_partition FROM syncs
        WHERE syncs.state = 'pending'
          AND (syncs.kind, syncs.origin_partition) > (busy.kind, busy.origin_partition)
        ORDER BY syncs.kind, syncs.origin_partition LIMIT 1
    ) AS hop
)
SELECT kind, origin_partition FROM busy

-- name: pending
-- Of the given streams, how many wait by tenant and kind, and since when the first of them does. Streams
-- without any are left out. Bounds instead of equalities: see work.page.
SELECT stream.tenant_id, stream.kind, sum(waiting.count)::bigint AS count, min(first.registered_at) AS oldest
FROM unnest($1::text[], $2::integer[], $3::text[], $4::boolean[])
    AS stream (kind, origin_partition, tenant_id, replayed),
LATERAL (
    SELECT registered_at FROM syncs
    WHERE state = 'pending'
      AND (kind, origin_partition, tenant_id, replayed)
        >= (stream.kind, stream.origin_partition, stream.tenant_id, stream.replayed)
      AND (kind, origin_partition, tenant_id, replayed)
        <= (stream.kind, stream.origin_partition, stream.tenant_id, stream.replayed)
    ORDER BY kind, origin_partition, tenant_id, replayed, seq
    LIMIT 1
) AS first,
LATERAL (
    SELECT count(*) FROM syncs
    WHERE state = 'pending'
      AND (kind, origin_partition, tenant_id, replayed)
        >= (stream.kind, stream.origin_partition, stream.tenant_id, stream.replayed)
      AND (kind, origin_partition, tenant_id, replayed)
        <= (stream.kind, stream.origin_partition, stream.tenant_id, stream.replayed)
) AS waiting
GROUP BY stream.tenant_id, stream.kind

-- name: doubts
SELECT tenant_id, count(*) AS count, min(in_doubt_since) AS oldest FROM syncs
WHERE in_doubt_since IS NOT NULL AND state NOT IN ('synced', 'failed')
GROUP BY tenant_id

-- name: doubts_of
SELECT tenant_id, count(*) AS count, min(in_doubt_since) AS oldest FROM syncs
WHERE in_doubt_since IS NOT NULL AND state NOT IN ('synced', 'failed') AND tenant_id = $1
GROUP BY tenant_id

-- name: failures
SELECT tenant_id, error_code, count(*) AS count FROM syncs
WHERE state = 'failed'
GROUP BY tenant_id, error_code

-- name: failures_of
SELECT tenant_id, error_code, count(*) AS count FROM syncs
WHERE state = 'failed' AND tenant_id = $1
GROUP BY tenant_id, error_code

-- name: failed_hotels_of
SELECT error_code, payload ->> 'hotel_name' AS hotel_name,
       payload ->> 'sedna_hotel_id' IS NOT NULL AS by_id
FROM syncs
WHERE state = 'failed' AND tenant_id = $1 AND error_code = ANY ($2::text[])
LIMIT $3

-- name: outbox
-- How many answers wait for Kafka, and since when the first of them does.
SELECT (SELECT count(*) FROM outbox) AS count,
       (SELECT created_at FROM outbox ORDER BY id LIMIT 1) AS oldest

-- name: replays
-- Replays that have not come to their end, of the last week: running if a process holds their lock.
SELECT replays.id, started_at,
       coalesce(sum(position - first_offset), 0)::bigint AS passed,
       coalesce(sum(end_offset - first_offset), 0)::bigint AS offsets,
       EXISTS (
           SELECT FROM pg_locks
           WHERE locktype = 'advisory' AND granted AND objsubid = 2
             AND classid::bigint = $1 AND objid::bigint = replays.id % 2147483648
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ) AS running
FROM replays LEFT JOIN replay_positions ON replay_id = replays.id
WHERE finished_at IS NULL AND started_at > now() - interval '7 days'
GROUP BY replays.id
ORDER BY replays.id

-- name: leases
SELECT topic, partition, owner, epoch, expires_at FROM partition_leases ORDER BY topic, partition
