package psql

import (
	"strings"
	"testing"
)

func TestWithoutAnAddressTheErrorNamesTheVariable(t *testing.T) {
	if _, err := Open("", 0); err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("got %v", err)
	}
}
