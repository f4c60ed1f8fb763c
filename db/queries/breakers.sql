-- name: open
-- A tenant's breaker has opened, or stays open after a probe; nothing if the tenant was removed.
INSERT INTO tenant_breakers (tenant_id, reason, last_error, failures, open_until)
SELECT tenant_id, $2, $3, $4, $5 FROM tenant_settings WHERE tenant_id = $1
ON CONFLICT (tenant_id) DO UPDATE
SET reason = excluded.reason,
    last_error = excluded.last_error,
    failures = excluded.failures,
    open_until = excluded.open_until

-- name: close
DELETE FROM tenant_breakers WHERE tenant_id = $1

-- name: get
SELECT tenant_id, reason, last_error, failures, opened_at, open_until
FROM tenant_breakers WHERE tenant_id = $1

-- name: all
SELECT tenant_id, reason, last_error, failures, opened_at, open_until
FROM tenant_breakers ORDER BY tenant_id
