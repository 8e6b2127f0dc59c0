package jobwire

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// readVectors fills rows with those of a file of spec/vectors.
func readVectors[T any](t testing.TB, name string) []T {
	t.Helper()
	text, err := os.ReadFile("../spec/vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []T }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatalf("%s has no vectors", name)
	}
	return file.Vectors
}

var sentinelOfClass = map[string]error{
	"ValidationError": ErrValidation, "NotFoundError": ErrNotFound, "ConflictError": ErrConflict, "AuthError": ErrAuth,
	"RateLimitedError": ErrRateLimited, "UnavailableError": ErrUnavailable, "ProtocolError": ErrProtocol,
	"TransportError": ErrTransport, "RequestTimeout": ErrTimeout,
}

func TestEachCodeOfTheCatalogueMatchesTheSentinelOfItsCategory(t *testing.T) {
	t.Parallel()
	type row struct {
		Code      string
		Statuses  []int
		SDK       string
		Retryable bool
	}
	for _, row := range readVectors[row](t, "errors.json") {
		t.Run(row.Code, func(t *testing.T) {
			t.Parallel()
			err := errorFrom(json.RawMessage(fmt.Sprintf(`{"code":%q}`, row.Code)), answerInfo{})
			wrapped := fmt.Errorf("while testing: %w", err)

			for class, sentinel := range sentinelOfClass {
				if want := class == row.SDK; want != errors.Is(wrapped, sentinel) {
					t.Errorf("it matches %v: %v", sentinel, !want)
				}
			}
			if row.Retryable != err.Retryable {
				t.Errorf("retryable is %v", err.Retryable)
			}
		})
	}
}

// TestACodeOfANewerServerGoesByItsStatus: JW-SDK-5.
func TestACodeOfANewerServerGoesByItsStatus(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status    int
		retryable bool
		want      error
	}{
		{400, false, ErrValidation}, {401, false, ErrAuth}, {403, false, ErrAuth}, {404, false, ErrNotFound}, {409, false, ErrConflict},
		{410, false, ErrNotFound}, {422, false, ErrValidation}, {429, true, ErrRateLimited}, {500, true, ErrUnavailable},
		{599, false, ErrUnavailable}, {0, true, ErrUnavailable},
	} {
		text := fmt.Sprintf(`{"code":"A_NEW_CODE","retryable":%v}`, row.retryable)
		err := errorFrom(json.RawMessage(text), answerInfo{status: row.status})
		if !errors.Is(err, row.want) || row.retryable != err.Retryable {
			t.Errorf("%d led to %v, retryable %v", row.status, err.category, err.Retryable)
		}
	}
	for _, status := range []int{418, 0} {
		err := errorFrom(json.RawMessage(`{"code":"A_NEW_CODE"}`), answerInfo{status: status})
		for _, sentinel := range sentinels {
			if errors.Is(err, sentinel) {
				t.Errorf("%d matches %v", status, sentinel)
			}
		}
	}
}

func TestARefusalKeepsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	err := errorFrom(
		json.RawMessage(`{"code":"QUEUE_FULL","message":"full","details":{"queue":"q","n":5},"retryable":true,"retry_after_ms":1500.5}`),
		answerInfo{status: 429, requestID: "r1", retryAfter: 2 * time.Second},
	)

	same(t, "QUEUE_FULL: full", err.Error())
	same(t, map[string]any{"queue": "q", "n": 5.0}, err.Details)
	same(t, 1500500*time.Microsecond, err.RetryAfter)
	same(t, 429, err.Status)
	same(t, "r1", err.RequestID)
}

func TestAnErrorOfRustQueueHasNoDetails(t *testing.T) {
	t.Parallel()
	err := errorFrom(json.RawMessage(`{"code":"INVALID_STATE","message":"x","details":null}`), answerInfo{retryAfter: time.Second})

	same(t, map[string]any(nil), err.Details)
	same(t, time.Second, err.RetryAfter)
	same(t, true, errors.Is(err, ErrConflict))
}

func TestAnErrorWithoutACodeIsAProtocolError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "null", `"no"`, "{}", `{"code":7}`, "[]"} {
		if err := errorFrom(json.RawMessage(text), answerInfo{status: 500}); err.Code != "PROTOCOL_ERROR" || err.Status != 500 {
			t.Errorf("%s led to %v", text, err)
		}
	}
}

func TestASenselessWishToWaitIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"-1", `"1"`, "true", "null", "1e400"} {
		err := errorFrom(json.RawMessage(`{"code":"OVERLOADED","retry_after_ms":`+text+`}`), answerInfo{})
		if err.RetryAfter != 0 {
			t.Errorf("%s led to %v", text, err.RetryAfter)
		}
	}
}

func TestSafeToRetryMeansProvablyNotCarriedOut(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"CONNECTION_FAILED": true, "SHUTTING_DOWN": true, "OVERLOADED": true, "QUEUE_PAUSED": true, "QUEUE_FULL": true,
		"RATE_LIMITED": true, "REQUEST_TIMEOUT": true, "STORAGE_FULL": true, "CONNECTION_LOST": false, "TIMEOUT": false,
		"INTERNAL_ERROR": false, "STORAGE_UNAVAILABLE": false, "HTTP_ERROR": false, "VALIDATION_ERROR": false,
	} {
		if got := SafeToRetry(fmt.Errorf("wrapped: %w", errorf(code, ""))); want != got {
			t.Errorf("%s: want %v", code, want)
		}
	}
	certificate := errorf("CONNECTION_FAILED", "")
	certificate.Retryable = false
	if SafeToRetry(certificate) || SafeToRetry(errors.New("other")) || SafeToRetry(nil) {
		t.Error("only an error that passes is safe to retry")
	}
}

func TestErrorsOfThisPackageAreLowerCaseWithoutADot(t *testing.T) {
	t.Parallel()
	for _, sentinel := range sentinels {
		if text := sentinel.Error(); !strings.HasPrefix(text, "jobwire: ") || strings.HasSuffix(text, ".") {
			t.Errorf("%q", text)
		}
	}
}
