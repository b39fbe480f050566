package plan

import (
	"slices"
	"testing"
)

func TestMigrationsComeByTheirNumbers(t *testing.T) {
	files, err := Ordered([]string{"0010_tags.sql", "0002_users.sql", "README.md", "2_short.sql"})
	if err != nil || !slices.Equal(files, []string{"0002_users.sql", "0010_tags.sql"}) {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestTheSameNumberTwiceIsAnError(t *testing.T) {
	if files, err := Ordered([]string{"0001_a.sql", "0001_b.sql"}); err == nil {
		t.Errorf("got %v and no error", files)
	}
}

func TestWhatIsAppliedIsNotPending(t *testing.T) {
	files := []string{"0001_a.sql", "0002_b.sql", "0003_c.sql"}
	for _, test := range []struct {
		name           string
		applied, wants []string
	}{
		{"an empty database", nil, files},
		{"two are applied", files[:2], files[2:]},
		{"one in between is not", []string{"0001_a.sql", "0003_c.sql"}, []string{"0002_b.sql"}},
		{"all are applied", files, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Pending(files, test.applied); !slices.Equal(got, test.wants) {
				t.Errorf("got %v, not %v", got, test.wants)
			}
		})
	}
}
