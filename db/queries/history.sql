-- What became of a tenant's work, for the people of that tenant. Every query names the tenant.

-- name: page
-- The tenant's syncs older than a place in the list, newest first: at most $3 are looked at, of which the
-- first $4 that fit the filters come back. `oldest` and `looked_at` say how far it went, also where
-- nothing fits. Bounds instead of an equality: the order that they ask for is that of one index only.
WITH looked_at AS MATERIALIZED (
    SELECT id, (
        ($5::text IS NULL OR state = $5)
        AND ($6::text IS NULL OR kind = $6)
        AND ($7::text IS NULL OR error_code = $7)
        AND ($8::boolean IS NULL OR (in_doubt_since IS NOT NULL) = $8)
        AND ($9::bigint IS NULL OR coalesce(sedna_hotel_id, (payload ->> 'sedna_hotel_id')::bigint) = $9)
        AND ($10::text IS NULL OR strpos(lower(payload ->> 'hotel_name'), lower($10)) > 0)
        -- Dates of the payload are ISO 8601, in whose order texts and dates are alike.
        AND ($11::text IS NULL OR coalesce(payload ->> 'check_out', payload ->> 'date_to') >= $11)
        AND ($12::text IS NULL OR coalesce(payload ->> 'check_in', payload ->> 'date_from') <= $12)
        AND ($13::timestamptz IS NULL OR registered_at >= $13)
        AND ($14::timestamptz IS NULL OR registered_at < $14)
    ) AS fits
    FROM syncs
    WHERE (tenant_id, id) < ($1, $2) AND (tenant_id, id) >= ($1, 0::bigint)
    ORDER BY tenant_id DESC, id DESC
    LIMIT $3
), found AS MATERIALIZED (
    SELECT id FROM looked_at WHERE fits ORDER BY id DESC LIMIT $4
)
SELECT how_far.oldest, how_far.looked_at, sync.*
FROM (SELECT min(id) AS oldest, count(*) AS looked_at FROM looked_at) AS how_far
LEFT JOIN (
    found CROSS JOIN LATERAL (
        SELECT id AS sync_id, kind, email_id, voucher_no, stop_sale_id, payload ->> 'hotel_name' AS hotel_name,
               coalesce(sedna_hotel_id, (payload ->> 'sedna_hotel_id')::bigint) AS sedna_hotel_id,
               coalesce(payload ->> 'check_in', payload ->> 'date_from') AS first_day,
               coalesce(payload ->> 'check_out', payload ->> 'date_to') AS last_day,
               state, in_doubt_since, attempts, next_attempt_at, sedna_rec_id, adopted,
               error_code, error_message, error_details, registered_at, updated_at, settled_at
        -- One look for each, which a join could not promise. They are the tenant's, or were not found.
        FROM syncs WHERE syncs.id = found.id LIMIT 1
    ) AS sync
) ON true
ORDER BY sync.sync_id DESC

-- name: one
SELECT id AS sync_id, kind, email_id, voucher_no, stop_sale_id, payload ->> 'hotel_name' AS hotel_name,
       coalesce(sedna_hotel_id, (payload ->> 'sedna_hotel_id')::bigint) AS sedna_hotel_id,
       coalesce(payload ->> 'check_in', payload ->> 'date_from') AS first_day,
       coalesce(payload ->> 'check_out', payload ->> 'date_to') AS last_day,
       state, in_doubt_since, attempts, next_attempt_at, sedna_rec_id, adopted,
       error_code, error_message, error_details, registered_at, updated_at, settled_at
FROM syncs WHERE id = $1 AND tenant_id = $2

-- name: attempts
-- The latest attempts of a sync, the last one first.
SELECT generation, attempt, outcome, error_code, error_message, sedna_rec_id, started_at, finished_at
FROM sync_attempts
WHERE sync_id = $1 AND tenant_id = $2
ORDER BY id DESC
LIMIT $3

-- name: unsynced
-- The tenant's oldest syncs that are not synced: failed ones by the index made for trying them again, and
-- pending ones of each partition, live and replayed, over which it hops as work.streams does. Bounds
-- instead of equalities: see work.page.
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
SELECT * FROM (
    (
        SELECT id, kind, CASE kind WHEN 'reservation' THEN email_id ELSE stop_sale_id END AS item_id, state,
               generation, coalesce(arrival_seq, seq) AS arrival
        FROM syncs
        WHERE state IS NOT DISTINCT FROM 'failed'
          AND (tenant_id, coalesce(arrival_seq, seq)) > ($1, 0::bigint)
          AND tenant_id <= $1
        ORDER BY tenant_id, coalesce(arrival_seq, seq)
        LIMIT $2
    )
    UNION ALL
    SELECT waiting.*
    FROM busy, (VALUES (false), (true)) AS class (replayed), LATERAL (
        SELECT id, kind, CASE kind WHEN 'reservation' THEN email_id ELSE stop_sale_id END AS item_id, state,
               generation, coalesce(arrival_seq, seq) AS arrival
        FROM syncs
        WHERE state = 'pending'
          AND (kind, origin_partition, tenant_id, replayed, seq)
            > (busy.kind, busy.origin_partition, $1, class.replayed, 0::bigint)
          AND (kind, origin_partition, tenant_id, replayed)
            <= (busy.kind, busy.origin_partition, $1, class.replayed)
        ORDER BY kind, origin_partition, tenant_id, replayed, seq
        LIMIT $2
    ) AS waiting
) AS unsynced
ORDER BY arrival
LIMIT $2
