package snippets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lntpay/lntpay/api/apikey"
	"github.com/lntpay/lntpay/deploy/devnet"
	"github.com/lntpay/lntpay/deploy/devnet/freeport"
	"github.com/lntpay/lntpay/payments"
	"github.com/lntpay/lntpay/store"
)

// startTimeout is for a development stack whose tools are built.
const startTimeout = 5 * time.Minute

// Stack is what `make dev` runs, elsewhere: the same program in a state folder
// and on ports of its own.
type Stack struct {
	root, dir string
	portBase  int
	dev       *devnet.DevJSON
	store     *store.Store
	stop      func() error
	out       log
}

// Open builds the program and starts a stack. Whoever opens it closes it.
func Open(ctx context.Context, root string) (*Stack, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	s := &Stack{root: root}
	if s.dir, err = os.MkdirTemp("", "lntpay-snippets-"); err != nil {
		return nil, err
	}
	// Postgres, which is another user when we are root, passes through it.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}

	return s, nil
}

func (s *Stack) state(parts ...string) string {
	return filepath.Join(append([]string{s.dir, devnet.DefaultStateDir}, parts...)...)
}

func (s *Stack) start(ctx context.Context) (err error) {
	program := s.state("bin", "lntpay")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = s.root
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build lntpay: %w\n%s", err, output)
	}
	if s.portBase, err = freeport.Take(devnet.PortCount); err != nil {
		return err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group, ended := errgroup.Group{}, make(chan struct{})
	group.Go(func() error {
		defer close(ended)

		return devnet.Run(runCtx, devnet.Options{StateDir: s.state(), PortBase: s.portBase, Program: program, Out: &s.out})
	})
	s.stop = func() error {
		cancel()

		return group.Wait()
	}
	if err := s.ready(ctx, ended); err != nil {
		return fmt.Errorf("%w\n%s", err, &s.out)
	}
	s.store, err = store.Open(ctx, payments.Sandbox, s.dev.DatabaseURL, 2)

	return err
}

// ready waits for dev.json.
func (s *Stack) ready(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		dev, err := devnet.FindRunning(s.state())
		if err == nil {
			s.dev = dev

			return nil
		}
		select {
		case <-ended:
			return errors.New("the stack has ended")
		case <-ctx.Done():
			return fmt.Errorf("the stack is not ready: %w", err)
		case <-tick.C:
		}
	}
}

// Close stops the stack.
func (s *Stack) Close() error {
	var err error
	if s.store != nil {
		s.store.Close()
	}
	if s.stop != nil {
		err = s.stop()
	}

	return errors.Join(err, os.RemoveAll(s.dir))
}

// place is where a page's commands run: a folder that looks like the
// repository's root with a running stack, whose key is of a workspace that
// only this page uses.
type place struct {
	folder, scripts string
	env             []string
	ports           func(text string) string
}

func (p *place) close() { _ = os.RemoveAll(filepath.Dir(p.folder)) }

func (s *Stack) newPlace(page Page) (*place, error) {
	dir, err := os.MkdirTemp(s.dir, "page-")
	if err != nil {
		return nil, err
	}
	p := &place{folder: filepath.Join(dir, "lntpay"), scripts: filepath.Join(dir, "scripts")}
	state := filepath.Join(p.folder, devnet.DefaultStateDir)
	err = errors.Join(os.MkdirAll(state, 0o700), os.Mkdir(p.scripts, 0o700),
		mirror(s.root, p.folder, ".git", devnet.DefaultStateDir), mirror(s.state(), state, "dev.json"), s.newDevJSON(state))
	if err == nil {
		err = p.choosePorts(s.portBase, page.Ports)
	}
	if err != nil {
		p.close()

		return nil, err
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "LNTPAY_") && !strings.HasPrefix(variable, "PORT=") {
			p.env = append(p.env, variable)
		}
	}

	return p, nil
}

// mirror links all that a folder holds into another one.
func mirror(from, to string, without ...string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, name := range without {
		left[name] = true
	}
	for _, entry := range entries {
		if left[entry.Name()] {
			continue
		}
		if err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}

	return nil
}

// newDevJSON makes a workspace with a key and writes a dev.json with it.
func (s *Stack) newDevJSON(state string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	workspace, err := s.store.AddWorkspace(ctx, "snippets")
	if err != nil {
		return err
	}
	var scopes []string
	for _, scope := range apikey.Scopes() {
		scopes = append(scopes, string(scope))
	}
	dev := *s.dev
	dev.WorkspaceID = workspace.ID
	if _, dev.APIKeys.Sandbox, err = apikey.CreateKey(ctx, s.store, store.Operator{Name: "test", Reason: "test"}, workspace.ID, "snippets", scopes, nil); err != nil {
		return err
	}
	text, err := json.Marshal(dev)
	if err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(state, "dev.json"), text, 0o600)
}

// choosePorts maps the ports of `make dev` to the stack's, and the page's own
// to free ones.
func (p *place) choosePorts(base int, own []string) error {
	free := map[string]string{}
	for i, shown := range own {
		taken, err := freeport.Take(1)
		if err != nil {
			return err
		}
		free[shown] = strconv.Itoa(taken)
		if i == 0 {
			p.env = append(p.env, "PORT="+free[shown])
		}
	}
	p.ports = func(text string) string {
		text = port.ReplaceAllStringFunc(text, func(address string) string {
			host, shown, _ := strings.Cut(address, ":")
			number, _ := strconv.Atoi(shown)

			return host + ":" + strconv.Itoa(number-devnet.DefaultPortBase+base)
		})
		for shown, taken := range free {
			text = strings.ReplaceAll(text, shown, taken)
		}

		return text
	}

	return nil
}

// log keeps what a stack says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *log) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.text.Write(text)
}

// String is what it has said.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.text.String()
}
