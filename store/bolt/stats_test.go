package bolt

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

func TestStatsTellTheAgeOfTheOldestRead(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "im.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var during time.Duration
	err = s.view(context.Background(), func(reader) error {
		for began := time.Now(); during == 0 && time.Since(began) < 5*time.Second; {
			during = s.Stats().OldestRead
		}
		return nil
	})
	if err != nil || during == 0 {
		t.Errorf("during a read: %v, %v", during, err)
	}
	if st := s.Stats(); st.OldestRead != 0 || st.FileBytes == 0 {
		t.Errorf("after it: %+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.OldestRead != 0 {
		t.Errorf("of a closed store: %+v", st)
	}
}
