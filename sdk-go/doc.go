// Package jobwire is the Go client for Jobwire: push jobs and run workers, with nothing but the standard library.
//
// # Connecting
//
// A [Client] is made once and shared by all goroutines. The URL's scheme picks the transport; tcp and tcps have all calls share one
// connection, http and https keep a pool of them.
//
//	client, err := jobwire.NewClient("tcp://localhost:6789", &jobwire.Config{Token: token})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//
// Without a URL, JOBWIRE_URL is used, and without a token JOBWIRE_TOKEN. Nothing is connected before the first call.
//
// # Pushing
//
// [Client.Push] puts a job in a queue; [PushOptions] has delays, priorities, retries, unique keys and dependencies.
// [Client.PushBatch] pushes up to 1,000 jobs in one transaction.
//
//	result, err := client.Push(ctx, "emails", "welcome", Mail{To: "ada@example.org"}, &jobwire.PushOptions{
//		Delay: 30 * time.Second, UniqueKey: "welcome-ada",
//	})
//
// Every push has an id that is made before the first try, so it is repeated safely after a lost answer.
//
// # Working
//
// A [Worker] pulls jobs, runs a handler for each, keeps their leases alive and reports what became of them. [Handle] reads the
// data of a job into a type.
//
//	worker, err := jobwire.NewWorker(client, &jobwire.WorkerConfig{Queues: []string{"emails"}})
//	if err != nil {
//		return err
//	}
//	jobwire.Handle(worker, "welcome", func(ctx context.Context, job *jobwire.JobOf[Mail]) (any, error) {
//		return nil, send(ctx, job.Data.To)
//	})
//	return worker.Run(ctx)
//
// A handler returns a result, or an error, after which the job is tried again; [Discard], [RetryIn] and [Release] end it otherwise.
// Its context ends when the job is cancelled, its lease is lost, its time is over or the worker stops. Without a worker,
// [Client.Pull], [Client.Heartbeat], [Client.Ack] and [Client.Fail] do the same by hand.
//
// # Errors
//
// Errors of calls are an [*Error]; match them with errors.Is and the sentinels, which say what a caller does next, or look at Code,
// which says what happened:
//
//	var e *jobwire.Error
//	switch {
//	case errors.Is(err, jobwire.ErrConflict) && errors.As(err, &e) && e.Code == "DUPLICATE_KEY":
//		log.Print("it is in the queue already: ", e.Details["existing_id"])
//	case errors.Is(err, jobwire.ErrTimeout):
//		log.Print("nobody knows; push it again with the same ID")
//	}
//
// A call whose context ends returns promptly with the context's error. What passes is repeated before that: at once after a lost
// connection, else with full jitter, as often as Retries and for as long as RetryBudget of [Config] say. [SafeToRetry] tells
// whether a request was provably not carried out.
//
// # Durations, instants and data
//
// Durations are time.Duration and travel as whole milliseconds, rounded up; where zero means "left out", [NoDelay] is an explicit
// zero. Instants are time.Time in UTC. Data, results and metadata are anything that encodes to JSON on the way out, and
// json.RawMessage on the way in, verbatim: integers of any number of digits survive.
//
// # Tests
//
// Package jobwiretest has a whole server in the process of a test, with a clock that the test moves, and runs handlers one by one.
package jobwire
