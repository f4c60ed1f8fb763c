-- Failed work is asked for again, by people.

-- Who is tried again goes to the end of the work, but came when it came: whether a later stop sale has
-- overtaken it is told by that. Null: as `seq` says.
ALTER TABLE syncs ADD COLUMN arrival_seq bigint;

-- As in 0001: the predicates are said in ways that no other query's are, and none of these columns is
-- touched by the dispatch mark, which stays a heap-only update.

-- Failed, by tenant, in the order in which they came, which is the order in which they are tried again.
CREATE INDEX syncs_failed_in_order ON syncs (tenant_id, coalesce(arrival_seq, seq))
    WHERE state IS NOT DISTINCT FROM 'failed';
-- What may have overtaken a failed stop sale.
CREATE INDEX syncs_stop_sales_synced ON syncs (tenant_id, lane, seq)
    WHERE kind = 'stop_sale' AND state = 'synced';
-- A reservation as people name it.
CREATE INDEX syncs_reservations_by_email ON syncs (tenant_id, email_id, coalesce(arrival_seq, seq))
    WHERE kind = 'reservation';
