-- Topics are read again by operators, see docs/replay.md.

-- Which replay registered the work, or tried it anew; null: it came live, or was asked for by a person. A stop
-- sale keeps it until a person forces it: what stands behind it in the topic may still have overtaken it.
ALTER TABLE syncs ADD COLUMN replay_id bigint;
-- It gives way to the live work of its tenant. Not so any more once its event comes live as well.
ALTER TABLE syncs ADD COLUMN replayed boolean NOT NULL DEFAULT false;
-- An owner loads both classes side by side, so that a live sync need not wait behind a replayed backlog: by
-- tenant and class, each in order. As in 0001, nothing but the work by owner says `= 'pending'`.
DROP INDEX syncs_pending_by_owner;
CREATE INDEX syncs_pending_by_owner ON syncs (kind, origin_partition, tenant_id, replayed, seq)
    WHERE state = 'pending';
-- Which stop sale of a hotel stands behind another one in the topic: a replayed one that such a one has
-- overtaken is not sent.
CREATE INDEX syncs_stop_sales_in_topic
    ON syncs (tenant_id, lane, origin_topic, origin_partition, origin_offset)
    WHERE kind = 'stop_sale' AND state IS NOT DISTINCT FROM 'synced';
-- Of the bytes of the very event that the row is made of: who reads it again knows it without parsing.
-- Null: it was registered before this column was there.
ALTER TABLE syncs ADD COLUMN event_fingerprint bytea;
-- What the result event of a synced row said and no other column tells, so that it can be published again.
ALTER TABLE syncs ADD COLUMN result_message text;
-- The result event as it was published, where it is not as the row says: the row is synced with what an
-- earlier event had asked for, and the one that it is named for was answered with a conflict.
ALTER TABLE syncs ADD COLUMN result_event bytea;
