package jobwire

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// idSource makes UUIDs of version 7 (RFC 9562) that only grow, also when the wall clock steps back.
//
// It counts below the millisecond in the 12 bits of rand_a (section 6.2, method 1); more than 4,096 ids in a millisecond borrow from
// the next one.
type idSource struct {
	now func() time.Time

	mu   sync.Mutex
	last uint64 // milliseconds and counter of the newest id
}

const idCounterBits = 12

// next is a new id, lower-case and hyphenated.
func (s *idSource) next() string {
	stamp := uint64(s.now().UnixMilli()) << idCounterBits
	s.mu.Lock()
	stamp = max(stamp, s.last+1)
	s.last = stamp
	s.mu.Unlock()

	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic("jobwire: the system has no random numbers: " + err.Error())
	}
	return formatID(stamp>>idCounterBits, stamp, binary.BigEndian.Uint64(random[:]))
}

// formatID is 48 bits of ms, 12 of counter and 62 of random, with version and variant in their places.
func formatID(ms, counter, random uint64) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], ms<<16|7<<12|counter&0xFFF)
	binary.BigEndian.PutUint64(id[8:], 1<<63|random&(1<<62-1))
	text := make([]byte, 36)
	hex.Encode(text, id[:4])
	hex.Encode(text[9:], id[4:6])
	hex.Encode(text[14:], id[6:8])
	hex.Encode(text[19:], id[8:10])
	hex.Encode(text[24:], id[10:])
	for _, at := range []int{8, 13, 18, 23} {
		text[at] = '-'
	}
	return string(text)
}

// processIDs is the one source of the process: ids of several clients must not interleave backwards.
var processIDs = &idSource{now: time.Now}
