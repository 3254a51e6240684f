package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// build compiles the server. What is killed has no race detector.
func build(dir string, flags ...string) (binary string, err error) {
	binary = filepath.Join(dir, "server")
	args := append([]string{"build", "-o", binary}, flags...)
	cmd := exec.Command("go", append(args, "./server")...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// process is a server that can be killed and started again at one address.
type process struct {
	binary, addr, dir string
	flags             []string // of every start
	env               []string
	cmd               *exec.Cmd
	done              chan struct{}
}

func newProcess(binary, dir string, flags ...string) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &process{binary: binary, addr: l.Addr().String(), dir: dir, flags: flags}, nil
}

// start runs the server until it answers.
func (p *process) start(more ...string) error {
	log, err := os.OpenFile(filepath.Join(p.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(p.binary, append(append([]string{"-addr", p.addr, "-data", p.dir}, p.flags...), more...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), p.env...)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan struct{})
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, err := http.Get("http://" + p.addr + "/im/openrpc.json")
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-p.done:
			err = errors.New("it has ended")
		case <-time.After(10 * time.Millisecond):
			if time.Now().Before(deadline) {
				continue
			}
		}
		out, _ := os.ReadFile(log.Name())
		return fmt.Errorf("the server did not start: %w\n%s", err, out[max(0, len(out)-4000):])
	}
}

// end signals the server and waits for its end.
func (p *process) end(s syscall.Signal) error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("the server did not end within 20 s of %v", s)
	}
}

func (p *process) kill() { _ = p.end(syscall.SIGKILL) }

// size is how many bytes the store has.
func (p *process) size() int64 {
	info, err := os.Stat(filepath.Join(p.dir, "im.db"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// post calls one operation as a user, past the proxy, until it is answered.
func (p *process) post(ctx context.Context, user, method string, params, result any) error {
	for {
		err := p.postOnce(ctx, user, method, params, result)
		var answer *wireError
		if err == nil || errors.As(err, &answer) && answer.final() {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		wait(ctx, 20*time.Millisecond)
	}
}
