package wire

func (s *Session) receiveAnswer(body Object) {
	rid, known := s.ridOf(body)
	if !known {
		s.fall(uncorrelated(body))
		return
	}
	if cancelled, left := s.abandoned[rid]; left {
		delete(s.abandoned, rid)
		if cancelled {
			s.emit(Late{body})
		}
		return
	}
	s.waiting.remove(rid)
	s.emit(Answered{rid, body})
}

// ridOf is the request that body answers, and whether that can be told.
func (s *Session) ridOf(body Object) (int64, bool) {
	text, echoed := body["rid"]
	if s.version != 2 || (!echoed && s.waiting.len() == 1 && len(s.abandoned) == 0) {
		return s.waiting.first()
	}
	rid, ok := Integer(text)
	if !ok {
		return 0, false
	}
	_, left := s.abandoned[rid]
	return rid, left || s.waiting.has(rid)
}

// uncorrelated is an error that speaks of the connection, such as REQUEST_TIMEOUT before it is closed, or plain nonsense.
func uncorrelated(body Object) Broken {
	_, echoed := body["rid"]
	if isFalse(body["ok"]) && !echoed && objectOf(body["error"]) != nil {
		return Broken{Why: "the server ended it", Refusal: body["error"], Lost: true}
	}
	return Broken{Why: "the peer answered a request that was never sent"}
}

func (s *Session) receiveNotice(body Object) {
	name := "?"
	if text := body["notice"]; len(text) > 0 && text[0] == '"' {
		name = Unquote(text)
	}
	if name == "goaway" {
		s.drain(body)
	}
	delete(body, "notice")
	s.emit(Noticed{name, body})
}

// drain moves requests that the server has not read out of the way. Without a last_rid nothing is known of what is in flight: its
// answers may still come.
func (s *Session) drain(body Object) {
	s.draining = true
	last, ok := Integer(body["last_rid"])
	if !ok {
		return
	}
	for _, rid := range s.waiting.above(last) {
		s.waiting.remove(rid)
		s.abandoned[rid] = false // the server may still refuse it in words
		s.emit(Unprocessed{rid})
	}
}

// queue is the rids of requests in the order of sending. They only grow.
type queue struct {
	places map[int64]struct{}
	order  []int64 // may hold rids that are gone, which are passed over
}

func (q *queue) len() int { return len(q.places) }

func (q *queue) has(rid int64) bool {
	_, ok := q.places[rid]
	return ok
}

func (q *queue) add(rid int64) {
	q.places[rid] = struct{}{}
	q.order = append(q.order, rid)
}

func (q *queue) remove(rid int64) {
	delete(q.places, rid)
	q.trim()
}

// trim drops what is gone from the front, and everything that is gone once that is most of it.
func (q *queue) trim() {
	for len(q.order) > 0 && !q.has(q.order[0]) {
		q.order = q.order[1:]
	}
	if len(q.order) > 64 && len(q.order) > 2*len(q.places) {
		kept := make([]int64, 0, len(q.places))
		for _, rid := range q.order {
			if q.has(rid) {
				kept = append(kept, rid)
			}
		}
		q.order = kept
	}
}

// first is the oldest rid, and whether there is one.
func (q *queue) first() (int64, bool) {
	if len(q.order) == 0 {
		return 0, false
	}
	return q.order[0], true
}

// above is the rids over last, the oldest first.
func (q *queue) above(last int64) []int64 {
	var found []int64
	for _, rid := range q.order {
		if rid > last && q.has(rid) {
			found = append(found, rid)
		}
	}
	return found
}
