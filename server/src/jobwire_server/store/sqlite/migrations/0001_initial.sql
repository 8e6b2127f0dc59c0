-- The first schema. Text and not blobs for JSON, so that whole rows can be read as one JSON array (see rows.py).

-- One row a job; columns after `seq` and `data_crc` in the order of model.Job. NULL stands for an empty JSON list
-- and for jitter 0. `seq` is the order of acceptance. `data_crc` is the CRC-32 of `data`.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    data_crc INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    data TEXT,
    created_at INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    backoff TEXT NOT NULL,
    backoff_delay_ms INTEGER NOT NULL,
    backoff_schedule_ms TEXT,
    backoff_max_ms INTEGER NOT NULL,
    jitter TEXT,
    ttl_ms INTEGER,
    timeout_ms INTEGER,
    unique_key TEXT,
    unique_for_ms INTEGER,
    tags TEXT,
    group_id TEXT,
    flow_id TEXT,
    custom_id TEXT,
    metadata TEXT,
    depends_on TEXT,
    lifo INTEGER NOT NULL,
    remove_on_complete INTEGER NOT NULL,
    remove_on_fail INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    pending_parents INTEGER NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    due_at INTEGER,
    updated_at INTEGER NOT NULL,
    reason TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    errors TEXT,
    progress INTEGER,
    logs TEXT,
    result TEXT,
    completed_at INTEGER,
    finished_at INTEGER,
    delivery INTEGER NOT NULL DEFAULT 0,
    lease_ms INTEGER,
    lease_expires_at INTEGER,
    started_at INTEGER,
    last_heartbeat INTEGER,
    worker_id TEXT,
    cancel_requested_at INTEGER,
    settled_by TEXT
);

-- claim, claim_named: the next jobs of a queue, and of a queue and a name.
CREATE INDEX waiting ON jobs (queue, priority DESC, position) WHERE state = 'waiting';
CREATE INDEX waiting_named ON jobs (queue, name, priority DESC, position) WHERE state = 'waiting';

-- due, next_due: what time alone will change, earliest first.
CREATE INDEX due ON jobs (due_at) WHERE due_at IS NOT NULL;

-- active_seqs (grace), find_active: the jobs under a lease.
CREATE INDEX active ON jobs (queue) WHERE state = 'active';

-- find_parked: delayed or blocked jobs of a queue.
CREATE INDEX parked ON jobs (queue, state) WHERE state IN ('delayed', 'blocked');

-- prune, find_ended, oldest_ended: finished jobs by the time of their end.
CREATE INDEX finished ON jobs (queue, state, finished_at) WHERE state IN ('completed', 'dlq', 'cancelled');

-- sweep_tombstones: removed jobs, oldest first.
CREATE INDEX tombstones ON jobs (updated_at) WHERE state = 'removed';

-- find_group, find_flow, find_custom: jobs that carry one of the user's own ids.
CREATE INDEX by_group ON jobs (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX by_flow ON jobs (flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX by_custom_id ON jobs (custom_id) WHERE custom_id IS NOT NULL;

-- Payloads that are too big for the row, so that a heartbeat does not rewrite them (JW-LIMIT-2).
CREATE TABLE payloads (
    seq INTEGER PRIMARY KEY,
    data TEXT NOT NULL
);

-- Who holds a unique key. `until` is NULL while the job is unfinished, then the end of its window.
CREATE TABLE unique_keys (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    job_id TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;

-- sweep_keys: keys whose window is over.
CREATE INDEX unique_windows ON unique_keys (until) WHERE until IS NOT NULL;

-- Who waits for whom; a row goes when its parent completes.
CREATE TABLE dependencies (
    parent_id TEXT NOT NULL,
    child_id TEXT NOT NULL,
    PRIMARY KEY (parent_id, child_id)
) WITHOUT ROWID;

-- drop_dependencies: the parents of a job that is deleted.
CREATE INDEX dependencies_of_child ON dependencies (child_id);

-- What a pull with a request_id took: JSON [[id, delivery], …].
CREATE TABLE claims (
    request_id TEXT PRIMARY KEY,
    jobs TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- sweep_claims: claims whose leases are over.
CREATE INDEX claim_ends ON claims (expires_at);

-- What a person set for a queue; NULL means the server's default. Columns in the order of model.QueueSettings.
CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    paused TEXT,
    lease_ms INTEGER,
    max_length INTEGER,
    retention_completed_ms INTEGER,
    retention_dlq_ms INTEGER,
    retention_cancelled_ms INTEGER
) WITHOUT ROWID;

-- How many jobs of a queue are in a state, kept in the transaction of each change. Tombstones are not counted.
CREATE TABLE counts (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) WITHOUT ROWID;

-- One row, written by check() to prove that the store can write.
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
);
INSERT INTO pulse (id, at) VALUES (1, 0);
