-- Every statement of the store, by name. {row} is a whole job as a JSON array, {values} one group of marks a row
-- that is written; rows.py fills them in. Guards stand in WHERE. Statements with {row} answer one row: a JSON array
-- of jobs in no particular order, because each step of a statement hands the interpreter's lock over and back.

-- name: insert_jobs
-- Accept new jobs; the columns that are not named start at their defaults.
INSERT INTO jobs (seq, data_crc, {insert_columns}) VALUES {values};

-- name: insert_plain_jobs
-- The same for jobs that leave all options of a push out: a third of the columns need not be named then.
INSERT INTO jobs (seq, data_crc, {plain_columns}) VALUES {values};

-- name: insert_payloads
-- Keep the data of big jobs beside their rows.
INSERT INTO payloads (seq, data) VALUES {values};

-- name: insert_dependencies
-- Note who waits for whom.
INSERT OR IGNORE INTO dependencies (parent_id, child_id) VALUES {values};

-- name: known_ids
-- Which of these ids are taken.
SELECT json_group_array(id) FROM jobs WHERE id IN carray(?);

-- name: heads
-- What must be known of a job to change it.
SELECT json_group_array(json_array(id, seq, revision, state)) FROM jobs WHERE id IN carray(?);

-- name: jobs_by_id
-- Whole jobs.
SELECT json_group_array({row}) FROM jobs WHERE id IN carray(?);

-- name: payloads
-- The data of these jobs, which is kept beside them, in the order given; NULL where it is missing. LEFT JOIN keeps that order.
SELECT payloads.data FROM json_each(?) AS wanted LEFT JOIN payloads ON payloads.seq = wanted.value;

-- name: change_jobs
-- Set everything that a transition can change, if nobody was first.
UPDATE jobs SET {change_assignments} FROM (VALUES {values}) AS new
WHERE jobs.seq = new.column1 AND jobs.revision = new.column2;

-- name: rewrite_job
-- Set everything but id and data: for a job that leaves a finished state, which may change what the push had set.
UPDATE jobs SET {rewrite_assignments} WHERE seq = ?1 AND revision = ?2;

-- name: forget_contents
-- Drop from tombstones what belonged to the user; change_jobs has dropped result, errors and logs.
UPDATE jobs SET data = '', data_crc = 0, metadata = NULL WHERE seq IN (SELECT value FROM json_each(?));

-- name: drop_payloads
-- Drop the big data of jobs that are removed.
DELETE FROM payloads WHERE seq IN (SELECT value FROM json_each(?));

-- name: claim
-- The seqs of the next jobs of a queue whose ttl has not run out, in their order (JW-PULL-3).
SELECT json_group_array(seq ORDER BY priority DESC, position, seq) FROM (
    SELECT priority, position, seq FROM jobs INDEXED BY waiting
    WHERE queue = ?1 AND state = 'waiting' AND (ttl_ms IS NULL OR created_at + ttl_ms > ?2)
    ORDER BY priority DESC, position, seq LIMIT ?3
);

-- name: claim_named
-- The next jobs of a queue with one name, as [-priority, position, seq]: what they are sorted by.
SELECT json_group_array(json_array(-priority, position, seq)) FROM (
    SELECT priority, position, seq FROM jobs INDEXED BY waiting_named
    WHERE queue = ?1 AND state = 'waiting' AND (ttl_ms IS NULL OR created_at + ttl_ms > ?2) AND name = ?4
    ORDER BY priority DESC, position, seq LIMIT ?3
);

-- name: lease_jobs
-- images.leased() for many jobs of one claim: ?1 lease_ms, ?2 its end, ?3 now, ?4 worker, ?5 the seqs as JSON.
UPDATE jobs SET
    state = 'active',
    revision = revision + 1,
    due_at = min(?2, ?3 + coalesce(timeout_ms, ?1)),
    updated_at = ?3,
    delivery = delivery + 1,
    lease_ms = ?1,
    lease_expires_at = ?2,
    started_at = ?3,
    last_heartbeat = NULL,
    worker_id = ?4,
    settled_by = NULL
WHERE seq IN (SELECT value FROM json_each(?5)) AND state = 'waiting';

-- name: remembered_claim
-- What an earlier claim with this request_id took.
SELECT jobs FROM claims WHERE request_id = ?;

-- name: remember_claim
-- Note what a claim took, for a caller whose answer got lost.
INSERT INTO claims (request_id, jobs, expires_at) VALUES (?1, ?2, ?3)
ON CONFLICT (request_id) DO UPDATE SET jobs = excluded.jobs, expires_at = excluded.expires_at;

-- name: take_key
-- Hold a unique key, unless another job does; one row when it is ours.
INSERT INTO unique_keys (queue, key, job_id, until) VALUES (?1, ?2, ?3, NULL)
ON CONFLICT (queue, key) DO UPDATE SET job_id = excluded.job_id, until = NULL
WHERE unique_keys.until <= ?4 OR unique_keys.job_id = excluded.job_id
RETURNING job_id;

-- name: key_holder
-- Who holds a unique key at this instant.
SELECT job_id FROM unique_keys WHERE queue = ?1 AND key = ?2 AND (until IS NULL OR until > ?3);

-- name: key_holders
-- Who holds these unique keys, given as JSON [[queue, key], …], at this instant.
SELECT json_group_array(json_array(queue, key, job_id)) FROM unique_keys
WHERE (queue, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND (until IS NULL OR until > ?2);

-- name: clear_windows
-- Make way for new holders of these unique keys, where the window of the last one is over.
DELETE FROM unique_keys
WHERE (queue, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND until <= ?2;

-- name: insert_keys
-- Hold unique keys for new jobs; the primary key refuses a second holder.
INSERT INTO unique_keys (queue, key, job_id) VALUES {values};

-- name: free_keys
-- Let go of unique keys, given as JSON [[queue, key, job id, …], …].
DELETE FROM unique_keys WHERE (queue, key, job_id) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)
);

-- name: keep_key
-- Hold the unique key of a finished job until its window is over.
UPDATE unique_keys SET until = ?4 WHERE queue = ?1 AND key = ?2 AND job_id = ?3;

-- name: dependents
-- Who waits for these jobs, in order of acceptance.
SELECT json_group_array(json_array(parent_id, child_id) ORDER BY jobs.seq) FROM dependencies
JOIN jobs ON jobs.id = child_id
WHERE parent_id IN carray(?);

-- name: forget_dependents
-- These parents have completed and are counted off.
DELETE FROM dependencies WHERE parent_id IN carray(?);

-- name: drop_dependencies
-- Take deleted jobs out of the graph.
DELETE FROM dependencies WHERE parent_id IN carray(?1) OR child_id IN carray(?1);

-- name: active_seqs
-- The jobs under a lease.
SELECT json_group_array(seq) FROM jobs INDEXED BY active WHERE state = 'active';

-- name: jobs_by_seq
-- Whole jobs, their seqs given as JSON.
SELECT json_group_array({row}) FROM jobs WHERE seq IN (SELECT value FROM json_each(?));

-- name: ended_seqs
-- Finished jobs of a queue and state that ended before an instant, oldest first.
SELECT json_group_array(json_array(seq, id)) FROM (
    SELECT seq, id FROM jobs INDEXED BY finished
    WHERE queue = ?1 AND state = ?2 AND state IN ('completed', 'dlq', 'cancelled') AND finished_at < ?3
    ORDER BY finished_at, seq LIMIT ?4
);

-- name: old_tombstones
-- Removed jobs that need not be recognised any more.
SELECT json_group_array(json_array(seq, id)) FROM (
    SELECT seq, id FROM jobs INDEXED BY tombstones WHERE state = 'removed' AND updated_at <= ?1
    ORDER BY updated_at LIMIT ?2
);

-- name: delete_jobs
-- Delete rows for good.
DELETE FROM jobs WHERE seq IN (SELECT value FROM json_each(?));

-- name: sweep_keys
-- Unique keys whose window is over.
DELETE FROM unique_keys WHERE (queue, key) IN (
    SELECT queue, key FROM unique_keys WHERE until IS NOT NULL AND until <= ?1 LIMIT ?2
);

-- name: sweep_claims
-- Claims whose leases are over.
DELETE FROM claims WHERE request_id IN (SELECT request_id FROM claims WHERE expires_at <= ?1 LIMIT ?2);

-- name: due
-- What time changes by this instant, earliest first.
SELECT json_group_array({row}) FROM jobs WHERE seq IN (
    SELECT seq FROM jobs INDEXED BY due WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at, seq LIMIT ?2
);

-- name: next_due
-- The next instant at which time changes something.
SELECT min(due_at) FROM jobs INDEXED BY due WHERE due_at IS NOT NULL;

-- name: next_priority
-- The highest priority below ?2 that has a waiting job in this queue; of any priority when ?2 is NULL.
SELECT max(priority) FROM jobs INDEXED BY waiting
WHERE queue = ?1 AND state = 'waiting' AND priority < coalesce(?2, 9223372036854775807);

-- name: oldest_fifo
-- The waiting jobs of one priority that were ready first. Each oldest_ answers [when it entered the state, seq, id].
SELECT json_group_array(json_array(run_at, seq, id)) FROM (
    SELECT run_at, seq, id FROM jobs INDEXED BY waiting
    WHERE queue = ?1 AND state = 'waiting' AND priority = ?2 AND position >= 0
    ORDER BY position, seq LIMIT ?3
);

-- name: oldest_lifo
-- The same for lifo jobs, whose positions are negative and whose oldest one stands last.
SELECT json_group_array(json_array(run_at, seq, id)) FROM (
    SELECT run_at, seq, id FROM jobs INDEXED BY waiting
    WHERE queue = ?1 AND state = 'waiting' AND priority = ?2 AND position < 0
    ORDER BY position DESC, seq LIMIT ?3
);

-- name: oldest_ended
-- The finished jobs of a queue and state that ended first.
SELECT json_group_array(json_array(finished_at, seq, id)) FROM (
    SELECT finished_at, seq, id FROM jobs INDEXED BY finished
    WHERE queue = ?1 AND state = ?2 AND state IN ('completed', 'dlq', 'cancelled')
    ORDER BY finished_at, seq LIMIT ?3
);

-- name: oldest_parked
-- The delayed or blocked jobs of a queue by their ready time.
SELECT json_group_array(json_array(run_at, seq, id)) FROM (
    SELECT run_at, seq, id FROM jobs INDEXED BY parked
    WHERE queue = ?1 AND state = ?2 AND state IN ('delayed', 'blocked') ORDER BY run_at, seq LIMIT ?3
);

-- name: oldest_active
-- The active jobs of a queue by their ready time.
SELECT json_group_array(json_array(run_at, seq, id)) FROM (
    SELECT run_at, seq, id FROM jobs INDEXED BY active
    WHERE queue = ?1 AND state = 'active' ORDER BY run_at, seq LIMIT ?2
);

-- name: change_counts
-- Add to the counts of a queue and state.
INSERT INTO counts (queue, state, n) VALUES {values}
ON CONFLICT (queue, state) DO UPDATE SET n = n + excluded.n;

-- name: drop_zero_counts
-- A queue that holds nothing is not listed.
DELETE FROM counts WHERE queue = ?1 AND state = ?2 AND n = 0;

-- name: all_counts
-- How many jobs are in each state of each queue.
SELECT queue, state, n FROM counts;

-- name: all_settings
-- What was set for queues.
SELECT * FROM queues;

-- name: put_settings
-- Replace what was set for a queue.
INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: drop_settings
-- A queue without settings of its own.
DELETE FROM queues WHERE name = ?;

-- name: has_links
-- Whether any job waits for another.
SELECT EXISTS (SELECT 1 FROM dependencies);

-- name: last_seq
-- The last place in the order of acceptance.
SELECT coalesce(max(seq), 0) FROM jobs;

-- name: beat
-- Prove that the store can write.
UPDATE pulse SET at = ?1 WHERE id = 1;

-- name: grow
-- Need new pages, to find out whether there is space; always rolled back.
INSERT INTO payloads (seq, data) VALUES (-1, hex(zeroblob(131072)));

-- --- find(): ways to walk, newest first ------------------------------------------------------------------------
-- Each walk gives the seqs of a bounded window of rows, and is set into find and find_end in place of {walk}.

-- name: walk_all
-- All jobs.
SELECT seq, 0 AS ended FROM jobs WHERE seq < :before ORDER BY seq DESC LIMIT :scan;

-- name: walk_group
-- The jobs of a group.
SELECT seq, 0 AS ended FROM jobs INDEXED BY by_group
WHERE group_id = :group_id AND seq < :before ORDER BY seq DESC LIMIT :scan;

-- name: walk_flow
-- The jobs of a flow.
SELECT seq, 0 AS ended FROM jobs INDEXED BY by_flow
WHERE flow_id = :flow_id AND seq < :before ORDER BY seq DESC LIMIT :scan;

-- name: walk_custom_id
-- The jobs with a custom id.
SELECT seq, 0 AS ended FROM jobs INDEXED BY by_custom_id
WHERE custom_id = :custom_id AND seq < :before ORDER BY seq DESC LIMIT :scan;

-- name: walk_active
-- The active jobs of a queue.
SELECT seq, 0 AS ended FROM jobs INDEXED BY active
WHERE queue = :queue AND state = 'active' AND seq < :before ORDER BY seq DESC LIMIT :scan;

-- name: walk_parked
-- The delayed or the blocked jobs of a queue.
SELECT seq, 0 AS ended FROM jobs INDEXED BY parked
WHERE queue = :queue AND state = :state AND state IN ('delayed', 'blocked') AND seq < :before
ORDER BY seq DESC LIMIT :scan;

-- name: walk_dead
-- The dead letters of a queue, by the time of their end.
SELECT seq, finished_at AS ended FROM jobs INDEXED BY finished
WHERE queue = :queue AND state = 'dlq' AND state IN ('completed', 'dlq', 'cancelled')
    AND finished_at <= :ended AND (finished_at < :ended OR seq < :before)
ORDER BY finished_at DESC, seq DESC LIMIT :scan;

-- name: find
-- The first jobs of a window that match, as [ended, seq, size of what can be large]; a filter that is NULL lets everything
-- through. CROSS JOIN keeps the order of the walk.
SELECT json_group_array(json_array(ended, seq, size)) FROM (
    SELECT walked.ended AS ended, jobs.seq AS seq, {size} AS size
    FROM ({walk}) AS walked CROSS JOIN jobs ON jobs.seq = walked.seq
    WHERE state <> 'removed'
        AND (:queue IS NULL OR queue = :queue)
        AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
        AND (:name IS NULL OR name = :name)
        AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(coalesce(tags, '[]'))))
        AND (:group_id IS NULL OR group_id = :group_id)
        AND (:flow_id IS NULL OR flow_id = :flow_id)
        AND (:custom_id IS NULL OR custom_id = :custom_id)
        AND (:created_after IS NULL OR created_at >= :created_after)
        AND (:created_before IS NULL OR created_at < :created_before)
    LIMIT :limit
);

-- name: find_end
-- The last row of a full window; no row when the window reached the end of all jobs.
SELECT ended, seq FROM ({walk}) LIMIT 1 OFFSET :scan - 1;
