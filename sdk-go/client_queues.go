package jobwire

import "context"

// ListQueues is all queues by name, with counts and pause mode. Requirements JW-QUEUE.
func (c *Client) ListQueues(ctx context.Context) ([]QueueInfo, error) {
	op, err := queuesOp()
	return do(ctx, c, op, err)
}

// GetQueue is a queue with its settings; one that was never used has zero counts. Requirements JW-QUEUE.
func (c *Client) GetQueue(ctx context.Context, queue string) (*QueueInfo, error) {
	op, err := queueOp("queue", queue, parseOneQueue)
	return do(ctx, c, op, err)
}

// UpdateQueue changes settings of a queue; what is left out stays, and Reset goes back to the server's default.
//
//	client.UpdateQueue(ctx, "emails", jobwire.QueueUpdate{MaxLength: jobwire.Set(1000)})
//
// Requirements JW-QUEUE.
func (c *Client) UpdateQueue(ctx context.Context, queue string, update QueueUpdate) (*QueueInfo, error) {
	op, err := updateQueueOp(queue, update)
	return do(ctx, c, op, err)
}

// Stats is the counts by state, the pause mode, and the age of the oldest waiting job. Requirements JW-QUEUE.
func (c *Client) Stats(ctx context.Context, queue string) (*QueueStats, error) {
	op, err := queueOp("stats", queue, parseStats)
	return do(ctx, c, op, err)
}

// PauseQueue stops delivery (PausePull), acceptance (PausePush) or both, until ResumeQueue. An empty mode is PausePull.
// Requirements JW-QUEUE.
func (c *Client) PauseQueue(ctx context.Context, queue string, mode PauseMode) error {
	if mode == "" {
		mode = PausePull
	}
	op, err := pauseQueueOp(queue, mode)
	_, err = do(ctx, c, op, err)
	return err
}

// ResumeQueue ends a pause; nothing happens when there is none. Requirements JW-QUEUE.
func (c *Client) ResumeQueue(ctx context.Context, queue string) error {
	op, err := queueOp("queue_resume", queue, parseNothing)
	_, err = do(ctx, c, op, err)
	return err
}

// DLQ is a page of a queue's dead letters, the newest first. options may be nil. Requirements JW-DLQ.
func (c *Client) DLQ(ctx context.Context, queue string, options *PageOptions) (*Page, error) {
	op, err := dlqOp(queue, options)
	return do(ctx, c, op, err)
}

// RetryDLQ puts dead letters back in queue. options may be nil: the oldest, at most 1,000.
//
// It returns how many, each one's outcome, and how many dead letters remain. Requirements JW-DLQ.
func (c *Client) RetryDLQ(ctx context.Context, queue string, options *BulkOptions) (*BulkResult, error) {
	op, err := bulkOp("dlq_retry", queue, options)
	return do(ctx, c, op, err)
}

// DiscardDLQ removes dead letters; options and result are those of RetryDLQ. Requirements JW-DLQ.
func (c *Client) DiscardDLQ(ctx context.Context, queue string, options *BulkOptions) (*BulkResult, error) {
	op, err := bulkOp("dlq_discard", queue, options)
	return do(ctx, c, op, err)
}

// GetFlow is the jobs of a flow, oldest first, at most 1,000, and how many are in each state. Requirements JW-DEP.
func (c *Client) GetFlow(ctx context.Context, flowID string) (*Flow, error) {
	op, err := flowOp(flowID)
	return do(ctx, c, op, err)
}

// ListWorkers is who works, by id, and who is alive, quiet, deaf or lost. Requirements JW-WORKER.
func (c *Client) ListWorkers(ctx context.Context) ([]WorkerInfo, error) {
	op, err := workersOp()
	return do(ctx, c, op, err)
}

// Health is the server's state, version and verified durability; it needs no token. Requirements JW-HEALTH.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	op, err := healthOp()
	return do(ctx, c, op, err)
}

// Capabilities is what the server can do, its limits and its defaults; it needs no token. Requirements JW-HEALTH.
func (c *Client) Capabilities(ctx context.Context) (*Capabilities, error) {
	op, err := capabilitiesOp()
	return do(ctx, c, op, err)
}

// Ping asks the server for a sign of life; it needs no token.
func (c *Client) Ping(ctx context.Context) error {
	op, err := pingOp()
	_, err = do(ctx, c, op, err)
	return err
}
