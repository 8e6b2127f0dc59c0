package jobwire

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestARepeatSendsTheSameAgain(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*Client) error{
		"Push": pushed,
		"PushBatch": func(c *Client) error {
			_, err := c.PushBatch(context.Background(), "q", []PushItem{{Name: "n"}}, nil)
			return err
		},
		"Pull": func(c *Client) error { _, err := c.Pull(context.Background(), []string{"q"}, nil); return err },
		"Ack":  func(c *Client) error { _, err := c.Ack(context.Background(), pulled, 1); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server, sleeps := setup(t, nil, errorf("CONNECTION_LOST", ""), errorf("TIMEOUT", ""), errorf("OVERLOADED", ""),
				`{"ok":true,"id":"a","ids":["a"],"job":null}`)

			same(t, nil, call(client))

			same(t, 4, len(server.sent))
			for _, sent := range server.sent {
				same(t, server.sent[0], sent)
			}
			same(t, []time.Duration{50 * ms, 200 * ms}, sleeps.lasted) // the first repeat is made at once
		})
	}
}

func TestIDsAreMadeForEachPush(t *testing.T) {
	t.Parallel()
	client, server, _ := setup(t, nil, `{"ok":true,"id":"a"}`)

	same(t, nil, pushed(client))
	same(t, nil, pushed(client))

	if server.sent[0] == server.sent[1] {
		t.Errorf("both sent %s", server.sent[0])
	}
}

func TestWhatMustNotHappenTwiceIsRepeatedOnlyWhenNothingWasDone(t *testing.T) {
	t.Parallel()
	client, server, _ := setup(t, nil, errorf("SHUTTING_DOWN", ""), errorf("CONNECTION_LOST", ""), `{"ok":true,"state":"waiting"}`)

	_, err := client.Retry(context.Background(), "j")

	expectCode(t, "CONNECTION_LOST", err)
	same(t, 2, len(server.sent))
}

func TestARefusalIsToldAtOnce(t *testing.T) {
	t.Parallel()
	client, server, sleeps := setup(t, nil, `{"ok":false,"error":{"code":"DUPLICATE_KEY","details":{"existing_id":"x"}}}`)

	err := pushed(client)

	var refused *Error
	same(t, true, errors.Is(err, ErrConflict) && errors.As(err, &refused))
	same(t, "x", refused.Details["existing_id"])
	same(t, 1, len(server.sent))
	same(t, 0, len(sleeps.lasted))
}

func TestTheServersWishToWaitIsHonoured(t *testing.T) {
	t.Parallel()
	client, _, sleeps := setup(t, nil, `{"ok":false,"error":{"code":"QUEUE_PAUSED","retryable":true,"retry_after_ms":1500}}`, `{"ok":true,"id":"a"}`)

	same(t, nil, pushed(client))
	same(t, []time.Duration{1500 * ms}, sleeps.lasted)
}

func TestOptionsAreThoseOfTheCall(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		config Config
		with   *Options
		want   int
	}{
		{"Default", Config{}, nil, 6},
		{"Never", Config{Retries: -1}, nil, 1},
		{"Twice", Config{Retries: 2}, nil, 3},
		{"AViewSwitchesThemOff", Config{Retries: 2}, &Options{Retries: -1}, 1},
		{"AViewOfNothingChangesNothing", Config{Retries: 2}, &Options{}, 3},
		{"NoBudget", Config{RetryBudget: -1}, nil, 2}, // the first repeat comes at once
		{"AViewTakesTheBudget", Config{}, &Options{RetryBudget: 60 * ms}, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			client, server, _ := setup(t, &row.config, errorf("CONNECTION_LOST", ""))

			expectCode(t, "CONNECTION_LOST", pushed(client.WithOptions(row.with)))
			same(t, row.want, len(server.sent))
		})
	}
}

func TestAViewSharesConnectionsAndEitherClosesBoth(t *testing.T) {
	t.Parallel()
	client, server, _ := setup(t, nil, `{"ok":true,"id":"a"}`)
	view := client.WithOptions(&Options{Timeout: time.Second})

	same(t, time.Second, view.timeout)
	same(t, defaultTimeout, client.timeout)
	same(t, nil, view.Close())

	same(t, true, server.closed)
	expectCode(t, "CLIENT_CLOSED", pushed(client))
}

func TestRepeatsAreLoggedWithoutPayloadOrToken(t *testing.T) {
	t.Parallel()
	var lines []string
	config := &Config{Token: "s3cret", Logf: func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }}
	client, _, _ := setup(t, config, errorf("OVERLOADED", "busy"), `{"ok":true,"id":"a"}`)

	_, err := client.Push(context.Background(), "q", "n", "payl0ad", nil)

	same(t, nil, err)
	same(t, []string{"jobwire: push: failure 1, trying again in 50ms: OVERLOADED: busy"}, lines)
}

func TestAnEndedContextMakesNoCall(t *testing.T) {
	t.Parallel()
	client, server, _ := setup(t, nil, `{"ok":true,"id":"a"}`)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancelLate()

	_, err := client.Push(cancelled, "q", "n", nil, nil)
	_, lateErr := client.Push(late, "q", "n", nil, nil)

	same(t, true, errors.Is(err, context.Canceled) && codeOf(err) == "")
	same(t, true, errors.Is(lateErr, context.DeadlineExceeded) && errors.Is(lateErr, ErrTimeout))
	same(t, 0, len(server.sent))
}

func TestAContextThatEndsInASleepEndsTheCall(t *testing.T) {
	t.Parallel()
	client, server, _ := setup(t, nil, errorf("OVERLOADED", "busy"))
	ctx, cancel := context.WithCancel(context.Background())
	client.runtime.Sleep = func(sleeping context.Context, _ time.Duration) error {
		cancel()
		<-sleeping.Done()
		return sleeping.Err()
	}

	_, err := client.Push(ctx, "q", "n", nil, nil)

	same(t, true, errors.Is(err, context.Canceled))
	same(t, false, errors.Is(err, ErrUnavailable))
	same(t, "jobwire: push: context canceled (the last try: OVERLOADED: busy)", err.Error())
	same(t, 1, len(server.sent))
}

func TestCloseWakesACallThatWaitsForItsNextTry(t *testing.T) {
	t.Parallel()
	client, _, _ := setup(t, nil, errorf("OVERLOADED", "busy"))
	asleep := make(chan struct{})
	client.runtime.Sleep = func(ctx context.Context, _ time.Duration) error {
		close(asleep)
		<-ctx.Done()
		return ctx.Err()
	}
	call := inBackground(func() (struct{}, error) { return struct{}{}, pushed(client) })
	<-asleep

	client.Close()

	_, err := await(t, call)
	expectCode(t, "CLIENT_CLOSED", err)
}

func TestAServerThatDoesNotHoldPullsOpenIsAskedAgain(t *testing.T) {
	t.Parallel()
	client, server, sleeps := setup(t, nil, `{"ok":true,"job":null}`)
	server.polling = true

	jobs, err := client.Pull(context.Background(), []string{"q"}, &PullOptions{Wait: 1200 * ms})

	same(t, nil, err)
	same(t, 0, len(jobs))
	same(t, []time.Duration{500 * ms, 500 * ms, 200 * ms}, sleeps.lasted)
	same(t, 4, len(server.sent))
}

func TestFindGoesThroughAllPagesEvenEmptyOnes(t *testing.T) {
	t.Parallel()
	client, server, _ := setup(t, nil, `{"ok":true,"jobs":[{"id":"a"},{"id":"b"}],"next_cursor":"1"}`,
		`{"ok":true,"jobs":[],"next_cursor":"2"}`, `{"ok":true,"jobs":[{"id":"c"}],"next_cursor":null}`)
	found := client.Find(&FindOptions{Queue: "q", PageSize: 2})

	same(t, (*Job)(nil), found.Job())
	ids := ""
	for found.Next(context.Background()) {
		ids += found.Job().ID
	}

	same(t, "abc", ids)
	same(t, nil, found.Err())
	same(t, (*Job)(nil), found.Job())
	same(t, false, found.Next(context.Background()))
	same(t, []string{
		`find {"queue":"q","limit":2}`, `find {"queue":"q","limit":2,"cursor":"1"}`, `find {"queue":"q","limit":2,"cursor":"2"}`,
	}, server.sent)
}

func TestFindStopsAtAnError(t *testing.T) {
	t.Parallel()
	client, _, _ := setup(t, nil, `{"ok":true,"jobs":[{"id":"a"}],"next_cursor":"1"}`, `{"ok":false,"error":{"code":"VALIDATION_ERROR"}}`)
	found := client.Find(nil)

	same(t, true, found.Next(context.Background()))
	same(t, false, found.Next(context.Background()))
	same(t, true, errors.Is(found.Err(), ErrValidation))
	same(t, false, found.Next(context.Background()))
}

// TestEveryMethodSendsItsOperation calls each method of spec/wire.yaml's `sdk`, by reflection, with zero values.
func TestEveryMethodSendsItsOperation(t *testing.T) {
	t.Parallel()
	words := strings.NewReplacer("dlq", "DLQ")
	for op, row := range specOperations(t) {
		if row.sdk == "" || row.sdk == "find" {
			continue // Find makes no call before its first step
		}
		name := ""
		for _, word := range strings.Split(row.sdk, "_") {
			if upper := words.Replace(word); upper != word {
				name += upper
			} else {
				name += strings.ToUpper(word[:1]) + word[1:]
			}
		}
		client, server, _ := setup(t, &Config{Retries: -1}, errorf("CONNECTION_LOST", ""))
		method := reflect.ValueOf(client).MethodByName(name)
		if !method.IsValid() {
			t.Errorf("there is no method %s", name)
			continue
		}
		results := method.Call(someArguments(method.Type()))

		if err, _ := results[len(results)-1].Interface().(error); codeOf(err) != "CONNECTION_LOST" {
			t.Errorf("%s led to %v", name, err)
		}
		if len(server.sent) != 1 || !strings.HasPrefix(server.sent[0], op+" ") {
			t.Errorf("%s sent %v, and not %s", name, server.sent, op)
		}
	}
}

// someArguments are a context, a job, a list of one queue, texts that can stand in a path, and zero values for the rest.
func someArguments(method reflect.Type) []reflect.Value {
	var arguments []reflect.Value
	for i := range method.NumIn() {
		switch kind := method.In(i); kind {
		case reflect.TypeFor[context.Context]():
			arguments = append(arguments, reflect.ValueOf(context.Background()))
		case reflect.TypeFor[*Job]():
			arguments = append(arguments, reflect.ValueOf(pulled))
		case reflect.TypeFor[[]string]():
			arguments = append(arguments, reflect.ValueOf([]string{"q"}))
		case reflect.TypeFor[string]():
			arguments = append(arguments, reflect.ValueOf("x"))
		default:
			arguments = append(arguments, reflect.Zero(kind))
		}
	}
	return arguments
}
