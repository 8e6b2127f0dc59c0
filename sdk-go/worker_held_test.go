package jobwire

import (
	"context"
	"fmt"
	"testing"
)

func TestHeldJobKeepsTheFirstCauseButALostLeaseOverridesIt(t *testing.T) {
	t.Parallel()
	ctx, held := newHeldJob(context.Background(), aJob, at(0))
	reasons := []StopReason{held.reason(ctx)}

	held.stop(ErrJobCancelled)
	held.stop(ErrShutdown)
	reasons = append(reasons, held.reason(ctx))
	isNews := []bool{held.loseLease(), held.loseLease()}
	reasons = append(reasons, held.reason(ctx))

	if want := "[ cancel lease_lost] [true false]"; fmt.Sprint(reasons, isNews) != want {
		t.Errorf("want %s, got %v %v", want, reasons, isNews)
	}
}

func TestHeldJobWhoseSettlementIsOnItsWayLeavesALostLeaseToTheServer(t *testing.T) {
	t.Parallel()
	ctx, held := newHeldJob(context.Background(), aJob, at(0))

	maySend := held.markSent()

	if !maySend || held.loseLease() || ctx.Err() != nil {
		t.Errorf("want nothing to change, got %v, %v", held.lost, ctx.Err())
	}
}
