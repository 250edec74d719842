package regtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
)

// dockerfile is the whole image: the static binaries, nothing to pull.
const dockerfile = "FROM scratch\nCOPY btcd lnd /bin/\nWORKDIR /data\n"

// daemonTimeout is how long the Docker daemon may take to answer a ping.
const daemonTimeout = 3 * time.Second

// containers runs programs in containers of one image on one network.
type containers struct {
	docker  *testcontainers.DockerClient
	network *testcontainers.DockerNetwork
	labels  map[string]string
	started roster
	// context is the folder with the Dockerfile and the binaries.
	context string
	// tag is the digest of the image's content: tests of two versions may
	// run at once, and an image that is there is not built again.
	tag   string
	built bool
}

// repository is the image's name on the daemon, where it stays as a cache.
const repository = "lntpay-regtest"

// newContainers reports an error when no daemon answers. dir is where the
// image's build context is put together.
func newContainers(ctx context.Context, dir string, binaries map[string]string) (*containers, error) {
	// Ryuk, testcontainers' own cleaner, would be pulled from a registry.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return nil, err
	}
	pingCtx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	docker, err := testcontainers.NewDockerClientWithOpts(pingCtx)
	if err != nil {
		return nil, err
	}
	if _, err := docker.Ping(pingCtx, client.PingOptions{}); err != nil {
		return nil, errors.Join(err, docker.Close())
	}
	h := &containers{docker: docker, context: filepath.Join(dir, "image")}
	if err := h.open(ctx, binaries); err != nil {
		return nil, errors.Join(err, docker.Close())
	}

	return h, nil
}

// open does what comes before the first container.
func (h *containers) open(ctx context.Context, binaries map[string]string) (err error) {
	if h.labels, err = labels(); err != nil {
		return err
	}
	if err := removeLeftovers(ctx, h.docker.Client, h.labels); err != nil {
		return fmt.Errorf("remove what a killed test left: %w", err)
	}
	if h.tag, err = digest(binaries); err != nil {
		return err
	}
	if _, err := h.docker.ImageInspect(ctx, h.image()); err == nil {
		h.built = true
	} else if err := h.prepare(binaries); err != nil {
		return err
	}
	h.network, err = tcnetwork.New(ctx, tcnetwork.WithLabels(maps.Clone(h.labels)))

	return err
}

// image is the name with the tag.
func (h *containers) image() string { return repository + ":" + h.tag }

// digest names the image's content.
func digest(binaries map[string]string) (string, error) {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(binaries)) {
		content, err := os.ReadFile(binaries[name])
		if err != nil {
			return "", err
		}
		sum.Write(fmt.Appendf(nil, "%s %d\n", name, len(content)))
		sum.Write(content)
	}
	sum.Write([]byte(dockerfile))

	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// prepare puts the build context together.
func (h *containers) prepare(binaries map[string]string) error {
	if err := os.MkdirAll(h.context, 0o700); err != nil {
		return err
	}
	for name, path := range binaries {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(h.context, name), content, 0o700); err != nil {
			return err
		}
	}

	return os.WriteFile(filepath.Join(h.context, "Dockerfile"), []byte(dockerfile), 0o600)
}

func (h *containers) place(name string, ports ...string) (place, error) {
	chosen, err := freePorts(ports)
	if err != nil {
		return place{}, err
	}

	return place{name: name, dir: "/data", host: name, bind: "0.0.0.0", ports: chosen}, nil
}

// run creates and starts a container. The first one builds the image unless
// the daemon has it: btcd, which starts alone, so that nobody races it.
func (h *containers) run(ctx context.Context, at place, what program) (machine, error) {
	request := testcontainers.ContainerRequest{
		// A copy: testcontainers writes its own labels into the map it gets,
		// and two nodes start at once ("concurrent map writes").
		Labels:         maps.Clone(h.labels),
		Cmd:            append([]string{"/bin/" + filepath.Base(what.tool)}, what.args...),
		Networks:       []string{h.network.Name},
		NetworkAliases: map[string][]string{h.network.Name: {at.host}},
	}
	if h.built {
		request.Image = h.image()
	} else {
		request.FromDockerfile = testcontainers.FromDockerfile{
			Context: h.context, Repo: repository, Tag: h.tag, KeepImage: true,
		}
	}
	bindings := network.PortMap{}
	for _, port := range at.ports {
		spec := fmt.Sprintf("%d/tcp", port)
		request.ExposedPorts = append(request.ExposedPorts, spec)
		bindings[network.MustParsePort(spec)] = []network.PortBinding{
			{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: fmt.Sprint(port)},
		}
	}
	request.HostConfigModifier = func(c *container.HostConfig) { c.PortBindings = bindings }
	for path, content := range what.files {
		request.Files = append(request.Files, testcontainers.ContainerFile{
			Reader: bytes.NewReader(content), ContainerFilePath: "/data/" + path, FileMode: 0o600,
		})
	}
	created, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{
		ContainerRequest: request, Started: true, Logger: quiet{},
	})
	b := &box{at: at, docker: h.docker, container: created}
	if created != nil {
		// It may exist although it does not run.
		h.started.add(b)
	}
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", at.name, err)
	}
	if !h.built {
		// By the first, alone: those that start at once only read it.
		h.built = true
	}

	return b, nil
}

func (h *containers) close(ctx context.Context) error {
	// The network goes last: it cannot while containers are on it.
	return errors.Join(h.started.remove(ctx), h.network.Remove(ctx), h.docker.Close())
}

// quiet drops testcontainers' own log lines.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// box is a machine in a container.
type box struct {
	at        place
	docker    *testcontainers.DockerClient
	container testcontainers.Container
	removed   bool
}

func (b *box) start(ctx context.Context) error { return b.container.Start(ctx) }

func (b *box) stop(ctx context.Context) error {
	grace := stopGrace

	return b.container.Stop(ctx, &grace)
}

func (b *box) kill(ctx context.Context) error {
	id := b.container.GetContainerID()
	if _, err := b.docker.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		return err
	}

	// It is started again only once it is gone.
	return until(ctx, func() error {
		if err := b.alive(ctx); !errors.Is(err, errGone) {
			return errors.Join(errors.New("it still runs"), err)
		}

		return nil
	})
}

func (b *box) pause(ctx context.Context) error {
	_, err := b.docker.ContainerPause(ctx, b.container.GetContainerID(), client.ContainerPauseOptions{})

	return err
}

func (b *box) resume(ctx context.Context) error {
	_, err := b.docker.ContainerUnpause(ctx, b.container.GetContainerID(), client.ContainerUnpauseOptions{})

	return err
}

func (b *box) alive(ctx context.Context) error {
	state, err := b.container.State(ctx)
	if err == nil && !state.Running {
		err = errGone
	}

	return err
}

func (b *box) read(ctx context.Context, path string) ([]byte, error) {
	file, err := b.container.CopyFileFromContainer(ctx, b.at.dir+"/"+path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()

	return io.ReadAll(file)
}

func (b *box) tail(ctx context.Context) string {
	logs, err := b.container.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = logs.Close() }()
	output, _ := io.ReadAll(logs)

	return string(output[max(0, len(output)-tailBytes):])
}

func (b *box) remove(ctx context.Context) error {
	if b.removed {
		return nil
	}
	b.removed = true

	return b.container.Terminate(ctx, testcontainers.StopTimeout(0))
}
