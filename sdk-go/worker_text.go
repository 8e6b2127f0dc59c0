package jobwire

import (
	"fmt"
	"runtime"
	"strings"
)

// errorText is err as the server keeps it: its message, and the stack of a panic, cut to what the wire takes. Of a stack
// the innermost frames stay.
func errorText(err error) string {
	text := cutUTF8(messageOf(err), limitErrorBytes/2)
	if p, ok := err.(*PanicError); ok && p.Stack != "" {
		text = cutUTF8(text+"\n\n"+p.Stack, limitErrorBytes)
	}
	return text
}

// messageOf is the text of an error or of what somebody panicked with. Both may be code of a user that panics itself, as
// the methods of a nil pointer like to do, and the job must still fail.
func messageOf(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%T (its message could not be read: it panicked)", value)
		}
	}()
	if err, ok := value.(error); ok {
		return err.Error()
	}
	return fmt.Sprint(value)
}

// Where the stack of a handler begins, and what [Handle] adds to it.
const (
	callHandlerName  = "github.com/jobwire/jobwire/sdk-go.callHandler"
	typedHandlerName = "github.com/jobwire/jobwire/sdk-go.Handle["
)

// maxFrames of a stack are read; a text of 10 KiB has room for fewer.
const maxFrames = 100

// panicStack tells where a panic came from. To be called by the deferred function that recovers it. Left out are the frames of the
// runtime, those from the handler's call on, and what puts typed handlers around the user's.
func panicStack() string {
	var pcs [maxFrames]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var stack strings.Builder
	seenPanic := false
	for {
		frame, more := frames.Next()
		isOwn := strings.HasPrefix(frame.Function, "runtime.") || strings.HasPrefix(frame.Function, typedHandlerName)
		switch {
		case frame.Function == callHandlerName:
			return stack.String()
		case frame.Function == "runtime.gopanic":
			seenPanic = true
		case seenPanic && !isOwn:
			fmt.Fprintf(&stack, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		}
		if !more {
			return stack.String()
		}
	}
}
