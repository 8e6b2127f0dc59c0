package jobwire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/jobwire/jobwire/sdk-go/internal/seam"
)

// Version is the version of this package.
const Version = "0.1.0"

const (
	defaultTimeout        = 30 * time.Second
	defaultConnectTimeout = 5 * time.Second
	defaultRetries        = 5
	defaultRetryBudget    = 30 * time.Second

	pollInterval = 500 * time.Millisecond // between pulls from a server that does not hold them open
)

// Config is the settings of a client. The zero value is fine.
type Config struct {
	// Token is the bearer token; when empty, JOBWIRE_TOKEN. It is never logged and never follows a redirect.
	Token string `json:"-"`
	// Timeout is for one try of a call, 30 s when 0; a waiting call gets its Wait on top. The context's deadline is for the call
	// with all its tries.
	Timeout time.Duration
	// ConnectTimeout is for making a connection, 5 s when 0.
	ConnectTimeout time.Duration
	// Retries is how often a call that may be repeated is repeated, 5 when 0, never when negative. Connections that cannot be made
	// do not count, they are tried again until the budget is used up.
	Retries int
	// RetryBudget is the time after its first failure in which a call may be repeated, 30 s when 0, none when negative.
	RetryBudget time.Duration
	// TLS is for https and tcps; when nil, certificates are verified against the system's. It is copied.
	TLS *tls.Config `json:"-"`
	// ClientName is what the server shows for this client, jobwire-go when empty.
	ClientName string
	// Logf is told what happens on the way, such as repeats; nil is silent. No payload and no token is ever logged.
	Logf func(format string, args ...any) `json:"-"`

	runtime *seam.Runtime
}

var _ = seam.Register(func(config any, runtime *seam.Runtime) { config.(*Config).runtime = runtime })

// String is the settings without the token.
func (c Config) String() string {
	return fmt.Sprintf("jobwire.Config{Timeout: %v, ConnectTimeout: %v, Retries: %d, RetryBudget: %v, ClientName: %q}",
		c.Timeout, c.ConnectTimeout, c.Retries, c.RetryBudget, c.ClientName)
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// Client pushes jobs and works on them, from any number of goroutines.
//
// Every push, pull, ack and fail carries an id, a lease or a request id, so that its repeat after a lost answer changes nothing
// more. Every method takes a context first, and returns its error promptly once it ends; a request that was under way may have been
// carried out. Other errors are an *Error.
type Client struct {
	*connection
	timeout time.Duration
	policy  retryPolicy
}

// connection is what the clients of one NewClient share.
type connection struct {
	endpoint  *endpoint
	transport transport
	runtime   *seam.Runtime
	logf      func(format string, args ...any)
	newID     func() string
	own       func(connTimes) transport // makes the one of another connection to the same server
	closed    context.Context           // ends when the client is closed
	end       context.CancelFunc
}

// NewClient is a client of the server at url: http://, https://, tcp:// or tcps://; the scheme picks the transport. An empty url is
// JOBWIRE_URL, or http://localhost:6790. config may be nil.
//
// Nothing is connected before the first call. The error is for arguments that cannot be used, and matches ErrValidation.
func NewClient(url string, config *Config) (*Client, error) {
	c := Config{}
	if config != nil {
		c = *config
	}
	if c.Timeout < 0 || c.ConnectTimeout < 0 {
		return nil, invalid("", "Timeout and ConnectTimeout must not be negative")
	}
	where, err := resolve(url, &c)
	if err != nil {
		return nil, err
	}
	shared := &connection{endpoint: where, runtime: c.runtime, logf: c.Logf, newID: processIDs.next}
	if shared.runtime == nil {
		shared.runtime = seam.Real()
	}
	if shared.logf == nil {
		shared.logf = func(string, ...any) {}
	}
	shared.closed, shared.end = context.WithCancel(context.Background())
	shared.own = func(times connTimes) transport {
		return newTransport(where.connectingWithin(times.connect), times.silence, shared.logf)
	}
	shared.transport = newTransport(where, 0, shared.logf)
	base := &Client{shared, defaultTimeout, retryPolicy{defaultRetries, defaultRetryBudget}}
	return base.WithOptions(&Options{Timeout: c.Timeout, Retries: c.Retries, RetryBudget: c.RetryBudget}), nil
}

// Options are settings of a client that WithOptions changes; what is 0 stays as it is. They mean what those of Config mean; a
// Timeout that is negative stays as it is, too.
type Options struct {
	Timeout     time.Duration
	Retries     int
	RetryBudget time.Duration
}

// WithOptions is this client with other settings. The two share their connections, and closing either closes both.
func (c *Client) WithOptions(options *Options) *Client {
	view := *c
	if options == nil {
		return &view
	}
	if options.Timeout > 0 {
		view.timeout = options.Timeout
	}
	if options.Retries != 0 {
		view.policy.retries = max(options.Retries, 0)
	}
	if options.RetryBudget != 0 {
		view.policy.budget = max(options.RetryBudget, 0)
	}
	return &view
}

// Close closes all connections. Calls in flight fail with CLIENT_CLOSED. It is idempotent and always returns nil.
func (c *Client) Close() error {
	c.end()
	c.transport.close()
	return nil
}

// String is the server's address.
func (c *Client) String() string { return "jobwire.Client(" + c.endpoint.String() + ")" }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// notices has callback called with each notice of a TCP connection; what comes back ends that.
func (c *Client) notices(callback noticeFunc) (stop func()) { return c.transport.subscribe(callback) }

// interruptWaits has calls that wait on the server's side answered soon, as if their wait had run out.
func (c *Client) interruptWaits() { c.transport.interrupt() }

// closeIdle has the next call make a new connection, where nothing is in flight on the one that there is.
func (c *Client) closeIdle() { c.transport.closeIdle() }

// do carries an operation out and reads its answer. buildErr is why the operation could not be built.
func do[T any](ctx context.Context, c *Client, op operation[T], buildErr error) (T, error) {
	var zero T
	if buildErr != nil {
		return zero, buildErr
	}
	answer, err := c.call(ctx, op.request)
	if err != nil {
		return zero, err
	}
	return op.read(answer)
}

// call carries a request out, and repeats it as its retry class and the policy allow.
func (c *Client) call(ctx context.Context, r *request) (reply, error) {
	state := retryState{policy: c.policy, class: r.route.retry}
	for {
		if c.closed.Err() != nil {
			return reply{}, clientClosed()
		}
		answer, err := c.try(ctx, r)
		var failed *Error
		if err == nil || !errors.As(err, &failed) {
			return answer, err
		}
		pause, again := state.after(failed, c.runtime.Now(), c.runtime.Random())
		if !again || ctx.Err() != nil {
			return reply{}, err
		}
		c.logRetry(r, failed, state.failures, pause)
		if err := c.pause(ctx, r, pause, failed); err != nil {
			return reply{}, err
		}
	}
}

// try sends a request once. The error is an *Error, or that of the context with the operation's name.
func (c *Client) try(ctx context.Context, r *request) (reply, error) {
	if ctx.Err() != nil {
		return reply{}, c.left(ctx, r, nil)
	}
	answer, err := c.transport.send(ctx, r, c.timeout+r.wait)
	if err == nil {
		return answer, answer.check()
	}
	var failed *Error
	if !errors.As(err, &failed) {
		return reply{}, c.left(ctx, r, nil)
	}
	return reply{}, err
}

// left is the error of a call whose context has ended: an *Error TIMEOUT when that was its deadline. last is that of the last try,
// or nil.
func (c *Client) left(ctx context.Context, r *request, last *Error) error {
	why := ""
	if last != nil {
		why = fmt.Sprintf(" (the last try: %v)", last)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return newError("TIMEOUT", r.op+": the context's deadline passed"+why, ctx.Err())
	}
	return fmt.Errorf("jobwire: %s: %w%s", r.op, ctx.Err(), why)
}

// pause sleeps until the next try, and ends early with the context or the client.
func (c *Client) pause(ctx context.Context, r *request, d time.Duration, last *Error) error {
	if d <= 0 {
		return nil
	}
	sleeping, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closed, cancel)()
	if c.runtime.Sleep(sleeping, d) == nil {
		return nil
	}
	if c.closed.Err() != nil {
		return clientClosed()
	}
	return c.left(ctx, r, last)
}

func (c *Client) logRetry(r *request, err *Error, failures int, pause time.Duration) {
	c.logf("jobwire: %s: failure %d, trying again in %v: %v", r.op, failures, pause.Round(time.Millisecond), err)
}
