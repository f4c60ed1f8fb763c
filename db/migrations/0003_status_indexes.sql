-- What people ask about, found without reading the history. The work that goes well is in neither
-- index, and what its marks and retries change is in no index at all, so they stay heap-only updates.

-- In doubt, by tenant, the oldest first. It does not say `= 'pending'`, so that the question for the
-- doubts fits this index only, and not that of the backlog.
CREATE INDEX syncs_in_doubt ON syncs (tenant_id, in_doubt_since)
    WHERE in_doubt_since IS NOT NULL AND state NOT IN ('synced', 'failed');
-- Failed, by tenant and code. A row leaves it when it is tried anew.
CREATE INDEX syncs_failed_by_code ON syncs (tenant_id, error_code) WHERE state = 'failed';
