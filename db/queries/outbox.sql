-- name: add
-- Messages that answer an event without a settlement: rejections and conflicts.
INSERT INTO outbox (kind, origin_partition, tenant_id, topic, key, value, headers)
SELECT kind, origin_partition, tenant_id, topic, key, value, headers
FROM unnest(
    $1::text[], $2::integer[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[]
) WITH ORDINALITY AS message (kind, origin_partition, tenant_id, topic, key, value, headers, place)
ORDER BY place
RETURNING id

-- name: page
-- The oldest messages of the given partitions that come after a known one. Bounds instead of
-- equalities: the order that they ask for is that of one index only, the one in which the messages
-- of other owners are not in the way.
SELECT outbox.id, outbox.topic, outbox.key, outbox.value, outbox.headers
FROM unnest($1::text[], $2::integer[]) AS owned (kind, origin_partition),
LATERAL (
    SELECT id, topic, key, value, headers FROM outbox
    WHERE (outbox.kind, outbox.origin_partition, outbox.id) > (owned.kind, owned.origin_partition, $3)
      AND (outbox.kind, outbox.origin_partition) <= (owned.kind, owned.origin_partition)
    ORDER BY outbox.kind, outbox.origin_partition, outbox.id
    LIMIT $4
) AS outbox
ORDER BY outbox.id
LIMIT $4

-- name: partitions
-- Whose messages are waiting: every (kind, partition), hopping as work.streams does.
WITH RECURSIVE waiting AS (
    (SELECT kind, origin_partition FROM outbox ORDER BY kind, origin_partition LIMIT 1)
    UNION ALL
    SELECT hop.kind, hop.origin_partition
    FROM waiting, LATERAL (
        SELECT outbox.kind, outbox.origin_partition FROM outbox
        WHERE (outbox.kind, outbox.origin_partition) > (waiting.kind, waiting.origin_partition)
        ORDER BY outbox.kind, outbox.origin_partition LIMIT 1
    ) AS hop
)
SELECT kind, origin_partition FROM waiting

-- name: delete
DELETE FROM outbox WHERE id = ANY($1::bigint[])
