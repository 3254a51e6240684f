package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is this program in another role. It answers each line with a line
// of JSON.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// answerLimit is how long a process may take over one line.
const answerLimit = 2 * time.Minute

func start(role string, args ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(exe, append([]string{role}, args...)...)}
	p.cmd.Stderr = &p.stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// ask sends a line, where there is one, and reads the answer.
func (p *process) ask(line string, answer any) error {
	if line != "" {
		if _, err := io.WriteString(p.in, line+"\n"); err != nil {
			return p.failed(err)
		}
	}
	late := time.AfterFunc(answerLimit, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	b, err := p.out.ReadBytes('\n')
	if err != nil {
		return p.failed(err)
	}
	var e struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("%q: %w", b, err)
	}
	if e.Error != "" {
		return errors.New(e.Error)
	}
	return json.Unmarshal(b, answer)
}

func (p *process) failed(err error) error {
	p.stop()
	return fmt.Errorf("%s: %w\n%s", strings.Join(p.cmd.Args[1:], " "), err, p.stderr.String())
}

// stop lets the process end, and waits for it.
func (p *process) stop() {
	_ = p.in.Close()
	late := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait()
}

// cpu is what the process has used, in the kernel too. It counts in hundredths
// of a second.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses and may hold anything.
	_, rest, _ := bytes.Cut(b, []byte(") "))
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", p.cmd.Process.Pid, b)
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime: proc(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// resident is the process's memory in RAM in bytes.
func (p *process) resident() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(b), "VmRSS:")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0, errors.New("no VmRSS in /proc")
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10, err
}

// raiseFiles makes room for n open files.
func raiseFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < n {
		return fmt.Errorf("this needs %d open files a process and the limit is %d: raise it (ulimit -Hn), or name smaller scenarios with -only", n, limit.Max)
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
