package doors

import (
	"slices"
	"strconv"
	"time"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/fake"
)

// Hold is a request that may be held: until there is something to say, or its wait is over on the real or the virtual clock. The
// zero value is one that is not held yet; it is guarded by the service's lock.
type Hold struct {
	*held
	isOver bool
}

type held struct {
	name   string
	fields *fake.Object
	caller fake.Caller
	answer fake.Answer // so far, empty-handed
	done   doneFunc
	end    int64 // on the virtual clock
	timer  *time.Timer
}

// waitOf is how many milliseconds a request may be held; 0 for most. The field has been checked when there is an answer.
func waitOf(name string, fields *fake.Object) int64 {
	if name != "pull" && name != "heartbeat_batch" {
		return 0
	}
	number, _ := fields.Get("wait_ms").(fake.Number)
	wait, _ := strconv.ParseInt(string(number), 10, 64)
	return wait
}

// hold keeps a request. The lock is held.
func (s *Service) hold(hold *Hold, what *held, wait int64) {
	hold.held = what
	what.end = s.operations.Now + wait
	what.timer = time.AfterFunc(milliseconds(wait), func() { s.End(hold) })
	s.holds = append(s.holds, hold)
}

// sendAway ends the pull that waits with the requestID of one that has come: whoever asks again has left it, and what it took now,
// nobody would have (JW-PULL-11). The lock is held.
func (s *Service) sendAway(requestID any) {
	id, named := requestID.(string)
	if !named {
		return
	}
	for _, hold := range slices.Clone(s.holds) {
		if hold.fields.Get("request_id") == id { // which pulls alone have
			s.end(hold)
		}
	}
}

// tryAgain answers a held request when there is something to say, or its wait is over on the virtual clock. The lock is held.
func (s *Service) tryAgain(hold *Hold) {
	if hold.isOver {
		return
	}
	var err error
	if hold.name == "pull" {
		hold.answer, err = s.operations.Run(hold.name, hold.fields, hold.caller)
	} else {
		// Not the whole operation: a held heartbeat renews its leases once, when it comes.
		worker := hold.fields.Get("worker").(*fake.Object)
		hold.answer = s.operations.AddNews(hold.answer, worker.Get("id").(string))
	}
	if err != nil || !fake.IsEmptyHanded(hold.name, hold.answer) || s.operations.Now >= hold.end {
		s.over(hold, err)
	}
}

func (s *Service) over(hold *Hold, err error) {
	hold.isOver = true
	hold.timer.Stop()
	s.holds = slices.DeleteFunc(s.holds, func(each *Hold) bool { return each == hold })
	s.finish(hold.name, hold.answer, err, hold.done)
}

// End answers a request as though its wait had run out, now or when it comes to be held; also when nobody can take the answer any
// more: nothing is claimed for a connection that is gone. It says whether the request was held.
func (s *Service) End(hold *Hold) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(hold)
}

func (s *Service) end(hold *Hold) bool {
	if hold.isOver || hold.held == nil {
		hold.isOver = true
		return false
	}
	s.over(hold, nil)
	return true
}

// EndAll ends every held request.
func (s *Service) EndAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endAll()
}

func (s *Service) endAll() {
	for _, hold := range slices.Clone(s.holds) {
		s.end(hold)
	}
}
