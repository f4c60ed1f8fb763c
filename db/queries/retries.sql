-- Failed work that people ask for again. "Failed" is said as `IS NOT DISTINCT FROM 'failed'` where it
-- is read in order, by the index made for that, and as NOT IN where it is looked up by its id.

-- name: tenants
-- Who has failed work; hops from one to the next, as work.streams does.
WITH RECURSIVE failing AS (
    (
        SELECT tenant_id FROM syncs
        WHERE state IS NOT DISTINCT FROM 'failed'
        ORDER BY tenant_id, coalesce(arrival_seq, seq) LIMIT 1
    )
    UNION ALL
    SELECT hop.tenant_id
    FROM failing, LATERAL (
        SELECT syncs.tenant_id FROM syncs
        WHERE syncs.state IS NOT DISTINCT FROM 'failed' AND syncs.tenant_id > failing.tenant_id
        ORDER BY syncs.tenant_id, coalesce(syncs.arrival_seq, syncs.seq) LIMIT 1
    ) AS hop
)
SELECT tenant_id FROM failing

-- name: page
-- The next failed ones of a tenant, in the order in which they came. Bounds instead of equalities, and
-- filters that fit no index: see work.page.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, state, generation, in_doubt_since,
       sedna_rec_id, error_code, error_message, coalesce(arrival_seq, seq) AS arrival, lane,
       sedna_hotel_id, error_details ->> 'hotel_id' AS error_hotel_id,
       CASE kind WHEN 'stop_sale' THEN payload END AS stop_sale,
       error_details #>> '{superseded_by,sync_id}' AS superseded_by,
       origin_topic, origin_partition, origin_offset, replay_id
FROM syncs
WHERE state IS NOT DISTINCT FROM 'failed'
  AND (tenant_id, coalesce(arrival_seq, seq)) > ($1, $2)
  AND tenant_id <= $1
  AND kind IS NOT DISTINCT FROM coalesce($3, kind)
  AND error_code IS NOT DISTINCT FROM coalesce($4, error_code)
  AND ($5::interval IS NULL OR settled_at <= now() - $5)
ORDER BY tenant_id, coalesce(arrival_seq, seq)
LIMIT $6

-- name: count
-- How much of a tenant has failed.
SELECT count(*) FROM syncs WHERE state IS NOT DISTINCT FROM 'failed' AND tenant_id = $1

-- name: by_ids
-- Of the given tenant, or of whoever it is.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, state, generation, in_doubt_since,
       sedna_rec_id, error_code, error_message, coalesce(arrival_seq, seq) AS arrival, lane,
       sedna_hotel_id, error_details ->> 'hotel_id' AS error_hotel_id,
       CASE kind WHEN 'stop_sale' THEN payload END AS stop_sale,
       error_details #>> '{superseded_by,sync_id}' AS superseded_by,
       origin_topic, origin_partition, origin_offset, replay_id
FROM syncs
WHERE id = ANY($1::bigint[]) AND ($2::text IS NULL OR tenant_id = $2)
ORDER BY coalesce(arrival_seq, seq)

-- name: reservation
-- The newest of an e-mail, which may hold several vouchers.
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, generation, state, in_doubt_since,
       attempts, sedna_rec_id, sedna_hotel_id, adopted, error_code, error_message, error_details
FROM syncs
WHERE kind = 'reservation' AND tenant_id = $1 AND email_id = $2
ORDER BY coalesce(arrival_seq, seq) DESC
LIMIT 1

-- name: stop_sale
SELECT id, tenant_id, kind, email_id, voucher_no, stop_sale_id, generation, state, in_doubt_since,
       attempts, sedna_rec_id, sedna_hotel_id, adopted, error_code, error_message, error_details
FROM syncs
WHERE tenant_id = $1 AND kind = 'stop_sale' AND business_key = $2

-- name: states
-- How far syncs have come.
SELECT syncs.id, syncs.tenant_id, kind, email_id, voucher_no, stop_sale_id, generation, state,
       in_doubt_since, attempts, sedna_rec_id, sedna_hotel_id, adopted, error_code, error_message,
       error_details
FROM syncs JOIN unnest($1::text[], $2::bigint[]) AS asked (tenant_id, id)
    ON syncs.id = asked.id AND syncs.tenant_id = asked.tenant_id

-- name: lock
-- Those that have failed, and were not tried again since they were shown; nobody else tries them until
-- the transaction ends.
SELECT syncs.id, tenant_id, kind, email_id, voucher_no, stop_sale_id, state, syncs.generation,
       in_doubt_since, sedna_rec_id, error_code, error_message, coalesce(arrival_seq, seq) AS arrival,
       lane, sedna_hotel_id, error_details ->> 'hotel_id' AS error_hotel_id,
       CASE kind WHEN 'stop_sale' THEN payload END AS stop_sale,
       error_details #>> '{superseded_by,sync_id}' AS superseded_by,
       origin_topic, origin_partition, origin_offset, replay_id
FROM syncs JOIN unnest($2::bigint[], $3::integer[]) AS shown (id, generation)
    ON syncs.id = shown.id AND syncs.generation = shown.generation
WHERE syncs.tenant_id = $1 AND syncs.state NOT IN ('pending', 'synced')
ORDER BY syncs.id
FOR UPDATE OF syncs

-- name: places
-- New places at the end of the work.
SELECT nextval('syncs_seq') AS seq FROM generate_series(1, $1::integer)

-- name: synced_in_lanes
-- Synced stop sales of some hotels that are behind a place in the work and touch some days. One without
-- a lane can be of any hotel: it was found in Sedna before its lane was stored.
SELECT later.* FROM (
    SELECT id, stop_sale_id, state, arrival_seq, seq, lane, sedna_hotel_id, payload, origin_topic,
           origin_partition, origin_offset, replay_id
    FROM unnest($2::text[]) AS hotel (key), LATERAL (
        SELECT * FROM syncs
        WHERE kind = 'stop_sale' AND state = 'synced'
          AND tenant_id = $1 AND lane = hotel.key AND seq > $3
    ) AS of_hotel
    UNION ALL
    SELECT id, stop_sale_id, state, arrival_seq, seq, lane, sedna_hotel_id, payload, origin_topic,
           origin_partition, origin_offset, replay_id
    FROM syncs
    WHERE kind = 'stop_sale' AND state = 'synced' AND tenant_id = $1 AND lane IS NULL AND seq > $3
) AS later
-- Days are written as 2026-12-31, and so are in order as texts.
WHERE payload ->> 'date_from' <= $5 AND payload ->> 'date_to' >= $4

-- name: synced
-- Likewise, of all hotels of the tenant.
SELECT id, stop_sale_id, state, arrival_seq, seq, lane, sedna_hotel_id, payload, origin_topic,
       origin_partition, origin_offset, replay_id
FROM syncs
WHERE kind = 'stop_sale' AND state = 'synced' AND tenant_id = $1 AND seq > $2
  AND payload ->> 'date_from' <= $4 AND payload ->> 'date_to' >= $3

-- name: pending
-- Likewise, those that are under way, whose hotels are mostly not known yet. Hops over the partitions
-- as work.streams does.
WITH RECURSIVE busy AS (
    (
        SELECT kind, origin_partition FROM syncs
        WHERE state = 'pending' AND (kind, origin_partition) >= ('stop_sale', 0)
        ORDER BY kind, origin_partition, tenant_id, replayed, seq LIMIT 1
    )
    UNION ALL
    SELECT hop.kind, hop.origin_partition
    FROM busy, LATERAL (
        SELECT syncs.kind, syncs.origin_partition FROM syncs
        WHERE syncs.state = 'pending'
          AND (syncs.kind, syncs.origin_partition) > (busy.kind, busy.origin_partition)
        ORDER BY syncs.kind, syncs.origin_partition, syncs.tenant_id, syncs.replayed, syncs.seq LIMIT 1
    ) AS hop
)
SELECT later.id, later.stop_sale_id, later.state, later.arrival_seq, later.seq, later.lane,
       later.sedna_hotel_id, later.payload, later.origin_topic, later.origin_partition,
       later.origin_offset, later.replay_id
FROM busy, LATERAL (
    SELECT * FROM syncs
    WHERE syncs.state = 'pending'
      AND syncs.kind = busy.kind AND syncs.origin_partition = busy.origin_partition
      AND syncs.tenant_id = $1 AND syncs.seq > $2
) AS later
WHERE later.payload ->> 'date_from' <= $4 AND later.payload ->> 'date_to' >= $3

-- name: again
-- Failed ones are tried again with the content that is stored, at the end of the work. Who was in doubt
-- stays so, and in its lane: it begins with the question, and must not hold up other hotels meanwhile.
-- Any other stop sale's hotel is found anew, since that may be what was mended. Unless a replay asks for it
-- ($5), it gives way to nothing any more; but only by force ($4) a replayed stop sale is sent although one
-- that stands behind it in the topic has overtaken it.
UPDATE syncs
SET state = 'pending',
    generation = generation + 1,
    arrival_seq = coalesce(syncs.arrival_seq, syncs.seq),
    seq = place.seq,
    lane = CASE
        WHEN kind = 'reservation' OR (in_doubt_since IS NOT NULL AND sedna_rec_id IS NULL) THEN lane
    END,
    replayed = $5::bigint IS NOT NULL,
    replay_id = coalesce($5, CASE WHEN kind = 'stop_sale' AND NOT $4 THEN replay_id END),
    attempts = 0,
    next_attempt_at = NULL,
    error_code = NULL,
    error_message = NULL,
    error_details = NULL,
    registered_at = now(),
    updated_at = now(),
    settled_at = NULL
FROM unnest($2::bigint[], $3::bigint[]) AS place (id, seq)
WHERE syncs.id = place.id AND syncs.tenant_id = $1 AND syncs.state NOT IN ('pending', 'synced')
RETURNING syncs.id, syncs.generation, kind, origin_partition
