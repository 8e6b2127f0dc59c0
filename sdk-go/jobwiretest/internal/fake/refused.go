package fake

import "fmt"

// Refused is an error with a code of spec/errors.yaml.
type Refused struct {
	Code, Message string
	Details       Answer // nil when there is nothing to add
	Status        int    // of HTTP, where it is not the first one of the code; else 0
	RetryAfter    int64  // in milliseconds; 0 when there is no telling
}

func (r *Refused) Error() string { return r.Code + ": " + r.Message }

func jobNotFound(id string) *Refused {
	return &Refused{Code: "JOB_NOT_FOUND", Message: fmt.Sprintf("Job '%s' not found", id), Details: Answer{"id": id}}
}

func leaseLost(job *Job) *Refused {
	message := fmt.Sprintf("The lease on job '%s' is over (the job is %s); drop the result", job.ID, job.State)
	return &Refused{Code: "LEASE_LOST", Message: message, Details: Answer{"id": job.ID, "state": job.State}}
}

func invalidState(job *Job, expected string) *Refused {
	message := fmt.Sprintf("Job is in invalid state '%s' for operation (expected: %s)", capitalized(job.State), expected)
	return &Refused{Code: "INVALID_STATE", Message: message, Details: Answer{"id": job.ID, "state": job.State, "expected": expected}}
}

// Invalid is the refusal of a value that breaks a rule; pointer is where it stands.
func Invalid(pointer, message string, details Answer) *Refused {
	all := Answer{"pointer": pointer}
	for name, value := range details {
		all[name] = value
	}
	return &Refused{Code: "VALIDATION_ERROR", Message: "Validation error: " + message, Details: all}
}

// Unprocessable is the refusal of a field of the wrong shape.
func Unprocessable(pointer, message string, details Answer) *Refused {
	refusal := Invalid(pointer, message, details)
	refusal.Status = 422
	return refusal
}
