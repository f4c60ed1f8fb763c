-- For the gauges of the backlog: each process counts what belongs to the partitions whose leases it
-- holds. Read with the settings of status.BY_INDEX.

-- name: held
-- Of the given leases, those that nobody has taken over since.
SELECT given.kind, lease.partition
FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[]) AS given (kind, topic, partition, epoch)
JOIN partition_leases AS lease USING (topic, partition, epoch)

-- name: pending
-- How many wait in each of the given partitions. Bounds instead of equalities: see work.page.
SELECT owned.kind, owned.origin_partition, waiting.count
FROM unnest($1::text[], $2::integer[]) AS owned (kind, origin_partition),
LATERAL (
    SELECT count(*) FROM syncs
    WHERE state = 'pending'
      AND (kind, origin_partition) >= (owned.kind, owned.origin_partition)
      AND (kind, origin_partition) <= (owned.kind, owned.origin_partition)
) AS waiting

-- name: oldest
-- For how many seconds the oldest in each of the given partitions has waited. Hops from stream to
-- stream as work.streams does; the first of each is its oldest.
WITH RECURSIVE stream AS (
    SELECT first.*
    FROM unnest($1::text[], $2::integer[]) AS owned (kind, origin_partition),
    LATERAL (
        SELECT syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed, syncs.registered_at
        FROM syncs
        WHERE syncs.state = 'pending'
          AND (syncs.kind, syncs.origin_partition) >= (owned.kind, owned.origin_partition)
          AND (syncs.kind, syncs.origin_partition) <= (owned.kind, owned.origin_partition)
        ORDER BY syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed, syncs.seq LIMIT 1
    ) AS first
    UNION ALL
    SELECT hop.*
    FROM stream, LATERAL (
        SELECT syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed, syncs.registered_at
        FROM syncs
        WHERE syncs.state = 'pending'
          AND (syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed)
            > (stream.kind, stream.origin_partition, stream.tenant_id, stream.replayed)
          AND (syncs.kind, syncs.origin_partition) <= (stream.kind, stream.origin_partition)
        ORDER BY syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed, syncs.seq LIMIT 1
    ) AS hop
)
SELECT kind, origin_partition, extract(epoch FROM now() - min(registered_at))::double precision AS seconds
FROM stream GROUP BY kind, origin_partition

-- name: doubts
-- Of all partitions, since there are few: what is not ours is left out by who asks.
SELECT kind, origin_partition, count(*) AS count FROM syncs
WHERE in_doubt_since IS NOT NULL AND state NOT IN ('synced', 'failed')
GROUP BY kind, origin_partition

-- name: outbox
-- How many messages of each of the given partitions wait for Kafka.
SELECT owned.kind, owned.origin_partition, waiting.count
FROM unnest($1::text[], $2::integer[]) AS owned (kind, origin_partition),
LATERAL (
    SELECT count(*) FROM outbox
    WHERE (outbox.kind, outbox.origin_partition) >= (owned.kind, owned.origin_partition)
      AND (outbox.kind, outbox.origin_partition) <= (owned.kind, owned.origin_partition)
) AS waiting
