PRAGMA application_id = 1248813687;
CREATE TABLE claims (
    request_id TEXT PRIMARY KEY,
    jobs TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "claims" VALUES ('golden', '[["48927927-25e4-479c-a46e-ba2a2c9b092f", 1]]', 1795365600083);
CREATE TABLE counts (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) WITHOUT ROWID;
INSERT INTO "counts" VALUES ('golden-a', 'active', 1);
INSERT INTO "counts" VALUES ('golden-a', 'blocked', 1);
INSERT INTO "counts" VALUES ('golden-a', 'cancelled', 1);
INSERT INTO "counts" VALUES ('golden-a', 'completed', 1);
INSERT INTO "counts" VALUES ('golden-a', 'delayed', 1);
INSERT INTO "counts" VALUES ('golden-a', 'dlq', 1);
INSERT INTO "counts" VALUES ('golden-a', 'waiting', 2);
INSERT INTO "counts" VALUES ('golden-b', 'waiting', 1);
CREATE TABLE dependencies (
    parent_id TEXT NOT NULL,
    child_id TEXT NOT NULL,
    PRIMARY KEY (parent_id, child_id)
) WITHOUT ROWID;
INSERT INTO "dependencies" VALUES ('677299aa-4915-4557-b00e-152e29e24720', 'bb36b71a-47b3-4a46-9986-5b988690f09b');
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
INSERT INTO "jobs" VALUES (1, 0, '9130e735-f341-4a4f-a805-78d3599708be', 'golden-a', 'golden', '', 1795322100025, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, 3155760000000, NULL, NULL, '["a","b"]', NULL, NULL, NULL, NULL, NULL, 0, 1, 0, 0, 0, 'removed', 2, 1795322100025, 1795322100025, NULL, 1795322100061, NULL, 0, NULL, NULL, NULL, NULL, NULL, 1795322100061, 1795322100061, 1, 43200000, NULL, 1795322100052, NULL, NULL, NULL, 'ack');
INSERT INTO "jobs" VALUES (2, 183974978, '326eb878-ad64-4b58-9642-5f584d552ae6', 'golden-a', 'golden', '{"n": 1}', 1795322100029, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, 3155760000000, NULL, NULL, '["a","b"]', NULL, NULL, NULL, '{"m": 1}', NULL, 0, 0, 0, 0, 0, 'completed', 2, 1795322100029, 1795322100029, NULL, 1795322100071, NULL, 0, NULL, NULL, NULL, NULL, '{"r": [1, "\u00e9"]}', 1795322100071, 1795322100071, 1, 43200000, NULL, 1795322100065, NULL, NULL, NULL, 'ack');
INSERT INTO "jobs" VALUES (3, 183974978, 'eb07864f-c764-4b98-a2cf-13031a55c904', 'golden-a', 'golden', '{"n": 1}', 1795322100041, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, 3155760000000, NULL, NULL, '["a","b"]', NULL, NULL, NULL, '{"m": 1}', NULL, 0, 0, 0, 0, 0, 'dlq', 2, 1795322100041, 1795322100041, NULL, 1795322100082, 'failed', 1, 'no', '[{"attempt":1,"at":1795322100082,"kind":"error","message":"no","worker_id":null}]', NULL, NULL, NULL, NULL, 1795322100082, 1, 43200000, NULL, 1795322100080, NULL, NULL, NULL, 'fail');
INSERT INTO "jobs" VALUES (4, 183974978, '48927927-25e4-479c-a46e-ba2a2c9b092f', 'golden-a', 'golden', '{"n": 1}', 1795322100049, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, 3155760000000, NULL, NULL, '["a","b"]', NULL, NULL, NULL, '{"m": 1}', NULL, 0, 0, 0, 0, 0, 'active', 2, 1795322100049, 1795322100049, 1795365300083, 1795322100093, NULL, 0, NULL, NULL, 50, '[{"at":1795322100093,"message":"half"}]', NULL, NULL, NULL, 1, 43200000, 1795365300083, 1795322100083, NULL, NULL, NULL, NULL);
INSERT INTO "jobs" VALUES (5, 183974978, '677299aa-4915-4557-b00e-152e29e24720', 'golden-a', 'golden', '{"n": 1}', 1795322100094, 0, 3, 'exponential', 1000, '[1,2,3]', 3600000, '0.5', NULL, NULL, 'key', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 'waiting', 0, 1795322100094, 1795322100094, NULL, 1795322100094, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "jobs" VALUES (6, 183974978, 'bb36b71a-47b3-4a46-9986-5b988690f09b', 'golden-a', 'golden', '{"n": 1}', 1795322100096, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, NULL, NULL, NULL, NULL, 'group', 'flow', 'custom', NULL, '["677299aa-4915-4557-b00e-152e29e24720"]', 0, 0, 0, 1, 1, 'blocked', 0, 1795322100096, 1795322100096, NULL, 1795322100096, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "jobs" VALUES (7, 183974978, 'c14ec69b-9b77-4e84-b1e5-0b3be1dfb381', 'golden-a', 'golden', '{"n": 1}', 1795322100097, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 0, 0, 0, 0, 'delayed', 0, 3373202100097, -3373202100097, 3373202100097, 1795322100097, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "jobs" VALUES (8, 183974978, 'acb2ce0c-4f79-47bf-8642-5af829f53790', 'golden-a', 'golden', '{"n": 1}', 1795322100097, -5, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 'cancelled', 1, 1795322100097, 1795322100097, NULL, 1795322100098, 'cancelled', 0, NULL, NULL, NULL, NULL, NULL, NULL, 1795322100098, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "jobs" VALUES (9, 3472967799, '256b7b7b-7bf2-48b6-88dd-f1d511b33cb0', 'golden-a', 'golden', NULL, 1795322100099, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 'waiting', 0, 1795322100099, 1795322100099, NULL, 1795322100099, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO "jobs" VALUES (10, 183974978, '8bbd9a87-812d-4f39-897e-7a6262577c4b', 'golden-b', 'golden', '{"n": 1}', 1795322100100, 0, 3, 'exponential', 1000, NULL, 3600000, NULL, NULL, NULL, 'window', 3155760000000, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 'waiting', 0, 1795322100100, 1795322100100, NULL, 1795322100100, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at INTEGER NOT NULL
);
INSERT INTO "migrations" VALUES (1, 'initial', '7fdbf2021dfcecb70747a6602ca7e926564a3961e48b02d996bd8d62b0d3541f', 1795322099844);
CREATE TABLE payloads (
    seq INTEGER PRIMARY KEY,
    data TEXT NOT NULL
);
INSERT INTO "payloads" VALUES (9, '{"big": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}');
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
);
INSERT INTO "pulse" VALUES (1, 0);
CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    paused TEXT,
    lease_ms INTEGER,
    max_length INTEGER,
    retention_completed_ms INTEGER,
    retention_dlq_ms INTEGER,
    retention_cancelled_ms INTEGER
) WITHOUT ROWID;
INSERT INTO "queues" VALUES ('golden-a', NULL, NULL, NULL, 3155760000000, 3155760000000, 3155760000000);
INSERT INTO "queues" VALUES ('golden-b', 'both', NULL, NULL, 3155760000000, 3155760000000, 3155760000000);
CREATE TABLE unique_keys (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    job_id TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;
INSERT INTO "unique_keys" VALUES ('golden-a', 'key', '677299aa-4915-4557-b00e-152e29e24720', NULL);
INSERT INTO "unique_keys" VALUES ('golden-b', 'window', '8bbd9a87-812d-4f39-897e-7a6262577c4b', NULL);
CREATE INDEX active ON jobs (queue) WHERE state = 'active';
CREATE INDEX by_custom_id ON jobs (custom_id) WHERE custom_id IS NOT NULL;
CREATE INDEX by_flow ON jobs (flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX by_group ON jobs (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX claim_ends ON claims (expires_at);
CREATE INDEX dependencies_of_child ON dependencies (child_id);
CREATE INDEX due ON jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX finished ON jobs (queue, state, finished_at) WHERE state IN ('completed', 'dlq', 'cancelled');
CREATE INDEX parked ON jobs (queue, state) WHERE state IN ('delayed', 'blocked');
CREATE INDEX tombstones ON jobs (updated_at) WHERE state = 'removed';
CREATE INDEX unique_windows ON unique_keys (until) WHERE until IS NOT NULL;
CREATE INDEX waiting ON jobs (queue, priority DESC, position) WHERE state = 'waiting';
CREATE INDEX waiting_named ON jobs (queue, name, priority DESC, position) WHERE state = 'waiting';
