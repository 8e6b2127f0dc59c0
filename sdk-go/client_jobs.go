package jobwire

import "context"

// Cancel stops the job with this id: at once while it waits; when it is active its worker is told, and State is still StateActive.
//
// Errors match ErrNotFound, and ErrConflict for INVALID_STATE when it has ended otherwise. Requirements JW-CANCEL.
func (c *Client) Cancel(ctx context.Context, id string) (*StateResult, error) {
	op, err := jobOp("cancel", id, parseState)
	return do(ctx, c, op, err)
}

// Retry puts a dead letter or a cancelled job back in its queue, with its attempts counted anew.
//
// Errors match ErrConflict for INVALID_STATE and DUPLICATE_KEY, and ErrNotFound. It is repeated only when it provably was not
// carried out. Requirements JW-RETRY.
func (c *Client) Retry(ctx context.Context, id string) (*StateResult, error) {
	op, err := jobOp("retry", id, parseState)
	return do(ctx, c, op, err)
}

// Promote makes a delayed job ready now. Errors match ErrConflict for INVALID_STATE, and ErrNotFound. Requirements JW-RETRY.
func (c *Client) Promote(ctx context.Context, id string) (*StateResult, error) {
	op, err := jobOp("promote", id, parseState)
	return do(ctx, c, op, err)
}

// GetJob is the job as it is now, without a lease. The error matches ErrNotFound when it is not there. Requirements JW-FIND.
func (c *Client) GetJob(ctx context.Context, id string) (*Job, error) {
	op, err := jobOp("get", id, parseOneJob)
	return do(ctx, c, op, err)
}

// DeleteJob removes a job that is not active.
//
// Errors match ErrConflict for INVALID_STATE, and ErrNotFound. It is repeated only when it provably was not carried out.
// Requirements JW-DEL.
func (c *Client) DeleteJob(ctx context.Context, id string) error {
	op, err := jobOp("delete", id, parseNothing)
	_, err = do(ctx, c, op, err)
	return err
}

// Find goes through all jobs that match, newest first, fetching page after page. options may be nil: all jobs. Requirements
// JW-FIND.
//
//	jobs := client.Find(&jobwire.FindOptions{Queue: "emails"})
//	for jobs.Next(ctx) {
//		fmt.Println(jobs.Job().ID)
//	}
//	if err := jobs.Err(); err != nil { … }
func (c *Client) Find(options *FindOptions) *JobIterator {
	found := &JobIterator{client: c}
	if options != nil {
		found.options = *options
	}
	return found
}

// FindPage is one page of Find: at most PageSize jobs from cursor on, the NextCursor of the page before; empty for the first.
func (c *Client) FindPage(ctx context.Context, options *FindOptions, cursor string) (*Page, error) {
	op, err := findOp(options, cursor)
	return do(ctx, c, op, err)
}

// JobIterator goes through the jobs of a Find. It is not safe for concurrent use.
type JobIterator struct {
	client  *Client
	options FindOptions
	page    []*Job // what is left of it, the current job first
	cursor  string
	started bool
	err     error
}

// Next moves on to the next job, and is false at the end or after an error.
func (it *JobIterator) Next(ctx context.Context) bool {
	if len(it.page) > 0 {
		it.page = it.page[1:]
	}
	// Fewer jobs than asked for, even none, do not mean the end.
	for len(it.page) == 0 && it.err == nil && (!it.started || it.cursor != "") {
		it.fetch(ctx)
	}
	return len(it.page) > 0
}

func (it *JobIterator) fetch(ctx context.Context) {
	page, err := it.client.FindPage(ctx, &it.options, it.cursor)
	it.started, it.err = true, err
	if err == nil {
		it.page, it.cursor = page.Jobs, page.NextCursor
	}
}

// Job is the current job, nil before the first Next and after the last.
func (it *JobIterator) Job() *Job {
	if len(it.page) == 0 {
		return nil
	}
	return it.page[0]
}

// Err is what ended the iteration early, nil when it reached its end.
func (it *JobIterator) Err() error { return it.err }
