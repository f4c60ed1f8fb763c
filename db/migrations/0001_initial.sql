-- The tables of the service. Names are fixed: operators, dashboards and checks use them.

-- One account at Sedna per tenant.
CREATE TABLE tenant_settings (
    tenant_id                text PRIMARY KEY CHECK (tenant_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    sedna_api_url            text NOT NULL,
    sedna_username           text NOT NULL,
    -- version || key id || nonce || AES-256-GCM ciphertext, bound to this tenant, table and column.
    sedna_password_encrypted bytea NOT NULL,
    sedna_operator_id        bigint,           -- null: learned at login
    sedna_operator_code      text,
    sedna_authority_id       bigint NOT NULL DEFAULT 207,
    is_active                boolean NOT NULL DEFAULT true,
    max_in_flight            integer CHECK (max_in_flight > 0),            -- null: the service's default
    requests_per_second      double precision CHECK (requests_per_second > 0), -- null: no limit
    created_at               timestamptz NOT NULL DEFAULT now(),
    updated_at               timestamptz NOT NULL DEFAULT now()
);

-- A person's word on which hotel a spelling means, for one tenant.
CREATE TABLE hotel_mappings (
    tenant_id  text NOT NULL REFERENCES tenant_settings ON DELETE CASCADE,
    name_key   text NOT NULL,                  -- the normalised name
    name       text NOT NULL,                  -- as the person wrote it
    hotel_id   bigint NOT NULL,                -- Sedna's
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name_key)
);

-- The order of the work. A sync that is tried anew gets a new place at the end.
CREATE SEQUENCE syncs_seq;

-- One row per piece of work: (tenant, reservation, voucher) or (tenant, stop sale, id).
CREATE TABLE syncs (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id        text NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('reservation', 'stop_sale')),
    email_id         bigint,
    voucher_no       text,
    stop_sale_id     bigint,
    business_key     text NOT NULL GENERATED ALWAYS AS
                     (CASE kind WHEN 'reservation' THEN voucher_no ELSE stop_sale_id::text END) STORED,
    payload          jsonb NOT NULL,           -- the event's data
    content_hash     bytea NOT NULL,
    doubted_payload  jsonb,                    -- what was sent and is in doubt, where it is not payload
    event_id         text NOT NULL,
    event_time       timestamptz,
    traceparent      text,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    earlier_events   text[] NOT NULL DEFAULT '{}', -- topic:partition:offset:event id of those replaced
    seq              bigint NOT NULL DEFAULT nextval('syncs_seq'),
    lane             text,                     -- null: a stop sale whose hotel is not resolved yet
    generation       integer NOT NULL DEFAULT 1, -- how often it was registered; settles once in each
    state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'synced', 'failed')),
    dispatched_at    timestamptz,              -- set before a create's first byte, cleared by settling
    dispatch_token   text,                     -- of the attempt that set it
    in_doubt_since   timestamptz,              -- a create was sent and its outcome is unknown
    attempts         integer NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz,
    sedna_synced     boolean NOT NULL GENERATED ALWAYS AS (state = 'synced') STORED,
    sedna_rec_id     bigint,                   -- of a stop sale: known from step 1 on
    sedna_hotel_id   bigint,
    adopted          boolean NOT NULL DEFAULT false,
    error_code       text,
    error_message    text,
    error_details    jsonb,
    created_at       timestamptz NOT NULL DEFAULT now(),
    registered_at    timestamptz NOT NULL DEFAULT now(), -- of this generation
    updated_at       timestamptz NOT NULL DEFAULT now(),
    settled_at       timestamptz
-- Room in each page, so that the dispatch mark is a heap-only update.
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

ALTER SEQUENCE syncs_seq OWNED BY syncs.seq;

-- Nothing is doubled begins here.
CREATE UNIQUE INDEX syncs_identity ON syncs (tenant_id, kind, business_key);
-- Two indexes of what is pending, which say so in two ways, so that no query can be planned with the
-- one that is not made for it: a backlog grows faster than Postgres' statistics of it.
-- An owner loads its partitions' work by tenant, in order.
CREATE INDEX syncs_pending_by_owner ON syncs (kind, origin_partition, tenant_id, seq) WHERE state = 'pending';
-- The dispatch mark looks for an earlier one in the lane.
CREATE INDEX syncs_pending_by_lane ON syncs (tenant_id, lane, seq)
    WHERE state IS NOT DISTINCT FROM 'pending';

-- What was tried, and what came of it; append-only.
CREATE TABLE sync_attempts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_id       bigint NOT NULL REFERENCES syncs ON DELETE CASCADE,
    tenant_id     text NOT NULL,
    generation    integer NOT NULL,
    attempt       integer NOT NULL,
    outcome       text NOT NULL CHECK (outcome IN ('synced', 'failed', 'retry', 'in_doubt')),
    error_code    text,
    error_message text,
    sedna_rec_id  bigint,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL
);
CREATE INDEX sync_attempts_by_sync ON sync_attempts (sync_id, id);

-- Messages that Kafka has not acknowledged yet. Deleted once it has.
CREATE TABLE outbox (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind             text NOT NULL CHECK (kind IN ('reservation', 'stop_sale')),
    origin_partition integer NOT NULL,         -- whose owner publishes it
    tenant_id        text,                     -- null: a dead letter whose key names no tenant
    topic            text NOT NULL,
    key              bytea,
    value            bytea,
    headers          bytea NOT NULL,           -- JSON: [[name, base64 of the value], ...]
    created_at       timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outbox_by_owner ON outbox (kind, origin_partition, id);

-- Events that could not be read, byte for byte.
CREATE TABLE rejections (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    origin_timestamp timestamptz,
    key              bytea,
    value            bytea,
    headers          bytea NOT NULL,           -- as in outbox
    digest           bytea NOT NULL,           -- tells apart events of a topic that was created anew
    tenant_id        text,                     -- whom the key names, if it names one
    event_id         text,
    error_code       text NOT NULL,
    error_message    text NOT NULL,
    error_details    jsonb,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (origin_topic, origin_partition, origin_offset, digest)
);

-- Who may work on a partition, by the database's clock.
CREATE TABLE partition_leases (
    topic      text NOT NULL,
    partition  integer NOT NULL,
    owner      text NOT NULL,
    epoch      bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- A change of a tenant's settings reaches every running service at once.
CREATE FUNCTION notify_tenant_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('sedna_sync_tenant_changed', coalesce(NEW.tenant_id, OLD.tenant_id));
    RETURN NULL;
END
$$;
CREATE TRIGGER tenant_settings_changed AFTER INSERT OR UPDATE OR DELETE ON tenant_settings
    FOR EACH ROW EXECUTE FUNCTION notify_tenant_changed();
CREATE TRIGGER hotel_mappings_changed AFTER INSERT OR UPDATE OR DELETE ON hotel_mappings
    FOR EACH ROW EXECUTE FUNCTION notify_tenant_changed();
