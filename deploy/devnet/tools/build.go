package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lntpay/lntpay/deploy/devnet/internal/flock"
)

// Build returns the path of each named tool, building what the user's cache
// does not hold yet, one after another. Without names it builds the tools of
// the development stack. progress, which may be nil, is told what is going on.
// Several processes may call it at once: one builds, the others wait.
func Build(ctx context.Context, progress func(string), names ...Name) (map[Name]string, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if len(names) == 0 {
		names = Stack()
	}
	folder, err := sources()
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the folder for built tools (set HOME or XDG_CACHE_HOME): %w", err)
	}
	built := make(map[Name]string, len(names))
	for _, name := range names {
		b := builder{sources: folder, cache: filepath.Join(cache, "lntpay", "tools"), progress: progress}
		if built[name], err = b.ensure(ctx, name); err != nil {
			return nil, fmt.Errorf("tool %s: %w", name, err)
		}
	}

	return built, nil
}

// builder builds tools from one checkout into one cache.
type builder struct {
	sources, cache string
	progress       func(string)
}

// ensure returns the path of a tool and builds it first if it must.
func (b builder) ensure(ctx context.Context, name Name) (string, error) {
	r, ok := recipes()[name]
	if !ok {
		return "", fmt.Errorf("there is no such tool; the tools are %v", All())
	}
	key, err := b.key(ctx, r)
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.cache, key, string(name))
	if isFile(path) {
		return path, nil
	}
	// A lock for each tool: two names of one module may build at once.
	held, err := flock.Wait(ctx, path+".lock", func() {
		b.progress(fmt.Sprintf("%s is being built by another process, waiting for it", name))
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = held.Release() }()
	if isFile(path) {
		return path, nil
	}

	return path, b.build(ctx, name, r, path)
}

// build compiles a tool and renames it into place, so that nobody ever sees
// half a binary.
func (b builder) build(ctx context.Context, name Name, r recipe, path string) error {
	b.progress(fmt.Sprintf("building %s (from an empty cache on two cores: %s)", name, r.cold))
	began := time.Now()
	unfinished := fmt.Sprintf("%s.%d.new", path, os.Getpid())
	defer func() { _ = os.Remove(unfinished) }()

	args := append([]string{"build", "-o", unfinished}, r.flags()...)
	module := filepath.Join(b.sources, r.module)
	if len(r.patches) > 0 {
		scratch, err := os.MkdirTemp("", "lntpay-"+string(name)+"-")
		if err != nil {
			return fmt.Errorf("make a folder for patched sources: %w", err)
		}
		defer func() { _ = os.RemoveAll(scratch) }()
		mod, err := patchedModule(ctx, module, r.pkg, scratch, r.patches)
		if err != nil {
			return err
		}
		args = append(args, "-modfile="+mod)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, r.pkg)...)
	cmd.Dir = module
	cmd.Env = r.env()
	// The go command starts compilers of its own: an interrupt lets it end them.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s in %s: %w\n%s", strings.Join(cmd.Args, " "), cmd.Dir, err, out)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("put the built binary in place: %w", err)
	}
	b.progress(fmt.Sprintf("built %s in %s", name, time.Since(began).Round(100*time.Millisecond)))

	return nil
}

// key hashes everything that decides the binary.
func (b builder) key(ctx context.Context, r recipe) (string, error) {
	version, err := goVersion(ctx, filepath.Join(b.sources, r.module))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(b.sources, r.module, file))
		if err != nil {
			return "", fmt.Errorf("read the pinned versions: %w", err)
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s\n", file, len(text), text)
	}
	_, _ = fmt.Fprintf(sum, "%q %t %s %s", r.flags(), r.cgo, r.pkg, version)
	for _, p := range r.patches {
		_, _ = fmt.Fprintf(sum, " %q", p)
	}

	return hex.EncodeToString(sum.Sum(nil))[:20], nil
}

// flags are the build flags; -trimpath makes the build cache independent of
// where the checkout lies.
func (r recipe) flags() []string {
	flags := []string{"-trimpath", "-ldflags", "-s -w"}
	if r.tags != "" {
		flags = append(flags, "-tags", r.tags)
	}

	return flags
}

// env is the environment of the go command. A go.work above the repository
// must not mix itself in.
func (r recipe) env() []string {
	cgo := "CGO_ENABLED=0"
	if r.cgo {
		cgo = "CGO_ENABLED=1"
	}

	return append(os.Environ(), cgo, "GOWORK=off")
}

// goVersion is the version and platform that the module in folder is built
// with.
func goVersion(ctx context.Context, folder string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("the Go toolchain is needed to build it, and `go` is not on PATH: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("go env in %s: %w", folder, err)
	}

	return strings.Join(strings.Fields(string(out)), " "), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)

	return err == nil && info.Mode().IsRegular()
}
