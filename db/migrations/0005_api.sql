-- A tenant's work, newest first, for the lists of the HTTP API. Neither column ever changes, so that the
-- dispatch mark stays a heap-only update.
CREATE INDEX syncs_by_tenant ON syncs (tenant_id, id);
