-- Which events were answered with a conflict: read again, they are not answered a second time unless that is
-- asked for. The digest, of the content, tells apart events of a topic that was created anew.
CREATE TABLE conflicts (
    origin_topic     text NOT NULL,
    origin_partition integer NOT NULL,
    origin_offset    bigint NOT NULL,
    digest           bytea NOT NULL,
    tenant_id        text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin_topic, origin_partition, origin_offset, digest)
);

-- Runs of `sedna-sync replay`, so that one that was interrupted goes on where it was.
CREATE TABLE replays (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked        jsonb NOT NULL,               -- what it was told to do; see consumer/replay/asked.py
    last_sync_id bigint NOT NULL,              -- that there was before it
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz                   -- null: it is running, or was interrupted
);

-- How far a run has come, partition by partition. Moves in the transaction that registers what was read.
CREATE TABLE replay_positions (
    replay_id    bigint NOT NULL REFERENCES replays ON DELETE CASCADE,
    topic        text NOT NULL,
    partition    integer NOT NULL,
    first_offset bigint NOT NULL,
    end_offset   bigint NOT NULL,              -- fixed when it started; not included
    position     bigint NOT NULL,              -- the next offset to read
    expired      bigint NOT NULL DEFAULT 0,    -- offsets that retention took away before they were read
    last_offset  bigint,                       -- of the record that was read last,
    last_digest  bytea,                        -- and its bytes: a topic that was created anew has others
    PRIMARY KEY (replay_id, topic, partition)
);

-- What the events that were read have come to.
CREATE TABLE replay_counts (
    replay_id bigint NOT NULL REFERENCES replays ON DELETE CASCADE,
    tenant_id text NOT NULL,                   -- '': the key names none
    kind      text NOT NULL,
    outcome   text NOT NULL,
    code      text NOT NULL,                   -- of a failure; else ''
    events    bigint NOT NULL,
    PRIMARY KEY (replay_id, tenant_id, kind, outcome, code)
);
