-- Tenants for whom nothing is sent at present, and why. Written by the process that works for them, so
-- that others can see it and the next owner does not knock at once where the last one was refused.
CREATE TABLE tenant_breakers (
    tenant_id  text PRIMARY KEY REFERENCES tenant_settings ON DELETE CASCADE,
    reason     text NOT NULL,              -- 'login_refused', 'session_refused', 'throttled' or 'failures'
    last_error text NOT NULL,
    failures   integer NOT NULL,           -- in a row
    opened_at  timestamptz NOT NULL DEFAULT now(),
    open_until timestamptz NOT NULL        -- one probe is sent then
);
