-- name: acquire
-- Take what nobody holds: never held, given back, or run out. A new holder takes the next epoch; what
-- we hold already we keep, in the same epoch.
INSERT INTO partition_leases AS lease (topic, partition, owner, epoch, expires_at)
SELECT wanted.topic, wanted.partition, $3, 1, clock_timestamp() + $4::interval
FROM unnest($1::text[], $2::integer[]) AS wanted (topic, partition)
ORDER BY wanted.topic, wanted.partition
ON CONFLICT (topic, partition) DO UPDATE
SET owner = excluded.owner,
    epoch = lease.epoch + CASE
        WHEN lease.owner = excluded.owner AND lease.expires_at > clock_timestamp() THEN 0 ELSE 1
    END,
    -- Asked again, since another's statement may have kept this one waiting.
    expires_at = clock_timestamp() + $4::interval
WHERE lease.owner = excluded.owner OR lease.expires_at <= clock_timestamp()
RETURNING lease.topic, lease.partition, lease.epoch

-- name: renew
-- Go on holding. One that has run out is held again, as long as nobody has taken it since.
WITH ours AS MATERIALIZED (
    SELECT lease.topic, lease.partition
    FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS held (topic, partition, epoch)
    JOIN partition_leases AS lease USING (topic, partition, epoch)
    ORDER BY lease.topic, lease.partition
    FOR NO KEY UPDATE OF lease
)
UPDATE partition_leases AS lease SET expires_at = clock_timestamp() + $4::interval
FROM ours
WHERE lease.topic = ours.topic AND lease.partition = ours.partition
RETURNING lease.topic, lease.partition

-- name: release
-- Give back, so that the next owner need not wait until it has run out.
WITH ours AS MATERIALIZED (
    SELECT lease.topic, lease.partition
    FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS held (topic, partition, epoch)
    JOIN partition_leases AS lease USING (topic, partition, epoch)
    ORDER BY lease.topic, lease.partition
    FOR NO KEY UPDATE OF lease
)
UPDATE partition_leases AS lease SET expires_at = least(lease.expires_at, clock_timestamp())
FROM ours
WHERE lease.topic = ours.topic AND lease.partition = ours.partition

-- name: owner
-- Who holds one.
SELECT owner FROM partition_leases
WHERE topic = $1 AND partition = $2 AND expires_at > clock_timestamp()
