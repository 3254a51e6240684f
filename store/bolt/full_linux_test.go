package bolt_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"example.com/h5im/store/bolt"
)

// Only root may mount a small file system; MaxSizeBytes is tested everywhere.
func TestFullDiskIsAnErrorAndTheStoreGoesOn(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Logf("no small file system here: %v", err)
		return
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 2<<20), 0o600))
	testFull(t, filepath.Join(dir, "im.db"), &bolt.Options{Logger: quiet}, func(*bolt.Options) { must(t, os.Remove(ballast)) })
}

func TestFullDiskEndsABackupAndARestore(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Logf("no small file system here: %v", err)
		return
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	testFullBackup(t, dir, func() func() {
		var free syscall.Statfs_t
		must(t, syscall.Statfs(dir, &free))
		ballast := filepath.Join(dir, "ballast")
		must(t, os.WriteFile(ballast, make([]byte, int64(free.Bavail)*free.Bsize-100_000), 0o600))
		return func() { must(t, os.Remove(ballast)) }
	})
}
