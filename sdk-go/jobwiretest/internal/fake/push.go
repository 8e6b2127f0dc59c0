package fake

import (
	"fmt"
	"maps"
	"slices"
)

// fullRetry is how long a client should wait whose queue is full.
const fullRetry = 1000

// pushed is the outcome of one push: created, existing or replaced.
type pushed struct{ id, outcome string }

func (p pushed) answer() Answer { return Answer{"id": p.id, "outcome": p.outcome} }

// push inserts one job, or answers with the one that is there already (JW-PUSH, JW-UNIQ, JW-DEP). item is a checked PushItem,
// pointer is where it stands in the request. A push that is refused changes nothing.
func (s *State) push(queue string, item Fields, pointer string) (pushed, error) {
	id, named := item.text("id")
	if !named {
		id = s.newID()
	}
	if known := s.byID[id]; known != nil {
		return repeated(known, queue, item, pointer)
	}
	if s.queue(queue).pauses("push") {
		return pushed{}, queuePaused(queue, pointer)
	}
	holder := s.holder(queue, item.textOrNil("unique_key"))
	if holder != nil {
		if answer, err := conflict(holder, item, pointer); answer != nil || err != nil {
			return orZero(answer), err
		}
	}
	if err := s.checkLength(queue, pointer, holder); err != nil {
		return pushed{}, err
	}
	s.sequence++
	job := s.newJob(id, queue, item)
	if err := s.attachParents(job, pointer); err != nil {
		return pushed{}, err
	}
	outcome := "created"
	if holder != nil {
		outcome = "replaced"
		s.finish(holder, "cancelled", "replaced", holder.SettledBy)
	}
	s.insert(job)
	return pushed{id, outcome}, nil
}

func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// pushAll inserts all or none (JW-PUSH-6); the refusal of one item names it by its pointer.
func (s *State) pushAll(queue string, items []Fields) ([]pushed, error) {
	order := parentsFirst(items)
	for index := range items {
		if !slices.Contains(order, index) {
			return nil, circular(index)
		}
	}
	restore := s.snapshot()
	outcomes := make([]pushed, len(items))
	for _, index := range order {
		outcome, err := s.push(queue, items[index], fmt.Sprintf("/jobs/%d", index))
		if err != nil {
			restore()
			return nil, err
		}
		outcomes[index] = outcome
	}
	return outcomes, nil
}

// snapshot is a function that puts everything back that a push can change.
func (s *State) snapshot() (restore func()) {
	jobs, byID, keys, notices := slices.Clone(s.jobs), maps.Clone(s.byID), maps.Clone(s.keys), slices.Clone(s.notices)
	fields := make([]Job, len(jobs))
	for i, job := range jobs {
		fields[i] = *job
	}
	return func() {
		for i, job := range jobs {
			*job = fields[i]
		}
		s.jobs, s.byID, s.keys, s.notices = jobs, byID, keys, notices
	}
}

func repeated(known *Job, queue string, item Fields, pointer string) (pushed, error) {
	isSame := known.Queue == queue && known.Name == item["name"] && textOf(known.Data) == textOf(item.data())
	if isSame || known.State == "removed" {
		return pushed{known.ID, "existing"}, nil
	}
	message := fmt.Sprintf("Job '%s' exists with another queue, name or data", known.ID)
	return pushed{}, &Refused{Code: "ID_CONFLICT", Message: message, Details: Answer{"id": known.ID, "pointer": pointer + "/id"}}
}

func textOf(p *Payload) string {
	if p == nil {
		return "null"
	}
	return p.Text
}

// conflict is what becomes of a push whose key is taken; nil when it replaces the holder.
func conflict(holder *Job, item Fields, pointer string) (*pushed, error) {
	choice, _ := item.text("on_conflict")
	canGo := holder.State == "waiting" || holder.State == "delayed" || holder.State == "blocked"
	switch {
	case choice == "ignore":
		return &pushed{holder.ID, "existing"}, nil
	case choice == "replace" && canGo:
		return nil, nil
	}
	return nil, keyTaken(holder, pointer+"/unique_key")
}

func keyTaken(holder *Job, pointer string) *Refused {
	message := fmt.Sprintf("Duplicate unique key '%s'", *holder.UniqueKey)
	return &Refused{Code: "DUPLICATE_KEY", Message: message, Details: Answer{"existing_id": holder.ID, "pointer": pointer}}
}

func queuePaused(queue, pointer string) *Refused {
	message := fmt.Sprintf("Queue '%s' is paused", queue)
	return &Refused{Code: "QUEUE_PAUSED", Message: message, Details: Answer{"queue": queue, "pointer": queuePointer(pointer)}}
}

// queuePointer is the item of a batch, or else the queue of the request.
func queuePointer(pointer string) string {
	if pointer == "" {
		return "/queue"
	}
	return pointer
}

// checkLength refuses what does not fit in a queue, of which replaced, if any, leaves.
func (s *State) checkLength(queue, pointer string, replaced *Job) error {
	limit, has := s.queue(queue).settings["max_length"]
	unfinished := len(s.filter(func(job *Job) bool { return job.Queue == queue && !job.isFinished() && job != replaced }))
	if !has || int64(unfinished) < limit {
		return nil
	}
	return &Refused{
		Code: "QUEUE_FULL", Message: fmt.Sprintf("Queue '%s' holds %d unfinished jobs", queue, limit), RetryAfter: fullRetry,
		Details: Answer{"queue": queue, "limit": limit, "pointer": queuePointer(pointer)},
	}
}

// parentsFirst is the indexes of a batch so that parents come before their children, otherwise in the order given. Left out are
// those that wait for each other in a circle (JW-DEP-3), or for such jobs.
func parentsFirst(items []Fields) []int {
	place := make(map[string]int)
	for i, item := range items {
		if id, named := item.text("id"); named {
			place[id] = i
		}
	}
	var order []int
	done := make(map[int]bool)
	isReady := func(item Fields) bool {
		for _, parent := range item.texts("depends_on") {
			if at, isHere := place[parent]; isHere && !done[at] {
				return false
			}
		}
		return true
	}
	for before := -1; before < len(order); {
		before = len(order)
		for i, item := range items {
			if !done[i] && isReady(item) {
				order = append(order, i)
			}
		}
		for _, i := range order[before:] {
			done[i] = true
		}
	}
	return order
}

func circular(index int) *Refused {
	return Invalid(fmt.Sprintf("/jobs/%d/depends_on", index), "Circular dependency detected", nil)
}
