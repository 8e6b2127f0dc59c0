package doors

import (
	"maps"
	"testing"

	"github.com/jobwire/jobwire/sdk-go/jobwiretest/internal/spectest"
)

func TestTheRoutesAndCommandsAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	specified, only, second, open := map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	openOverHTTP := map[string]bool{}
	for name, row := range spectest.ReadWire(t).Operations {
		for _, line := range row.HTTP {
			specified[line] = name
		}
		isOpen := row.Auth != nil && !*row.Auth
		switch {
		case row.Wire == nil:
			only[name] = true
		case *row.Wire == 2:
			second[name] = true
		}
		if isOpen && row.Wire != nil {
			open[name] = true
		}
		if isOpen && row.HTTP != nil {
			openOverHTTP[name] = true
		}
	}

	if !maps.Equal(specified, routes) {
		t.Errorf("want %v, got %v", specified, routes)
	}
	for _, pair := range [][2]map[string]bool{
		{only, httpOnly}, {second, version2}, {open, tcpWithoutToken}, {openOverHTTP, httpWithoutToken},
	} {
		if !maps.Equal(pair[0], pair[1]) {
			t.Errorf("want %v, got %v", pair[0], pair[1])
		}
	}
}
