package compose

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Services that a test takes away singly.
const (
	API1        = "api-1"
	API2        = "api-2"
	Worker1     = "worker-1"
	Worker2     = "worker-2"
	Postgres    = "postgres"
	Temporal    = "temporal"
	Proxy       = "proxy"
	LndMerchant = "lnd-merchant"
	LndPayer    = "lnd-payer"
	Btcd        = "btcd"
)

// Networks of docker-compose.yml.
const (
	networkInner      = "inner"
	networkLightning  = "lightning"
	networkWorkersOwn = "outside"
)

// labelService is Compose's own label with a container's service.
const labelService = "com.docker.compose.service"

// find gives the container of a service.
func (p *Project) find(ctx context.Context, service string) (container.InspectResponse, error) {
	filter := client.Filters{}.Add("label", labelProject+"="+p.Name, labelService+"="+service)
	boxes, err := p.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return container.InspectResponse{}, fmt.Errorf("find %s: %w", service, err)
	}
	if len(boxes.Items) != 1 {
		return container.InspectResponse{}, fmt.Errorf("find %s: there are %d containers", service, len(boxes.Items))
	}
	found, err := p.docker.ContainerInspect(ctx, boxes.Items[0].ID, client.ContainerInspectOptions{})

	return found.Container, err
}

// Containers are all of the project's, by service.
func (p *Project) Containers(ctx context.Context) (map[string]container.InspectResponse, error) {
	filter := client.Filters{}.Add("label", labelProject+"="+p.Name)
	boxes, err := p.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return nil, err
	}
	found := map[string]container.InspectResponse{}
	for _, box := range boxes.Items {
		one, err := p.docker.ContainerInspect(ctx, box.ID, client.ContainerInspectOptions{})
		if err != nil {
			return nil, err
		}
		found[box.Labels[labelService]] = one.Container
	}

	return found, nil
}

// Address is a service's IP address on one of the project's networks (inner,
// front, lightning, outside). It may be another one after a restart.
func (p *Project) Address(ctx context.Context, service, on string) (string, error) {
	found, err := p.find(ctx, service)
	if err != nil {
		return "", err
	}
	endpoint := found.NetworkSettings.Networks[p.Name+"_"+on]
	if endpoint == nil || !endpoint.IPAddress.IsValid() {
		return "", fmt.Errorf("%s has no address on %s", service, on)
	}

	return endpoint.IPAddress.String(), nil
}

// Gateway is the address of this machine on the network that only the workers
// are on and that leads out: where they reach what a test listens on.
func (p *Project) Gateway(ctx context.Context) (string, error) {
	found, err := p.find(ctx, Worker1)
	if err != nil {
		return "", err
	}
	endpoint := found.NetworkSettings.Networks[p.Name+"_"+networkWorkersOwn]
	if endpoint == nil || !endpoint.Gateway.IsValid() {
		return "", errors.New("the workers' network has no gateway")
	}

	return endpoint.Gateway.String(), nil
}

// DatabaseURL is of Postgres' superuser, who may do all, on LNTPay's database.
func (p *Project) DatabaseURL(ctx context.Context) (string, error) {
	return p.dsn(ctx, "postgres", "POSTGRES_PASSWORD")
}

// AppDatabaseURL is of the role that api and workers have.
func (p *Project) AppDatabaseURL(ctx context.Context) (string, error) {
	return p.dsn(ctx, "lntpay_app", "LNTPAY_APP_PASSWORD")
}

func (p *Project) dsn(ctx context.Context, role, password string) (string, error) {
	host, err := p.Address(ctx, Postgres, networkInner)

	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, p.passwords[password]), Host: net.JoinHostPort(host, "5432"),
		Path: "/lntpay", RawQuery: "sslmode=disable",
	}

	return dsn.String(), err
}

// TemporalNamespace is LNTPay's.
const TemporalNamespace = "lntpay"

// TemporalAddress is the frontend's host:port.
func (p *Project) TemporalAddress(ctx context.Context) (string, error) {
	host, err := p.Address(ctx, Temporal, networkInner)

	return host + ":7233", err
}

// Kill ends a service's container at once, as a crash does. Docker does not
// start it again: Start does.
func (p *Project) Kill(ctx context.Context, service string) error {
	return p.act(ctx, service, func(id string) error {
		_, err := p.docker.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "SIGKILL"})
		if err != nil {
			return err
		}

		return until(ctx, func(ctx context.Context) error {
			found, err := p.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
			if err == nil && found.Container.State.Running {
				err = errors.New("it still runs")
			}

			return err
		})
	})
}

// Stop ends a service's container in order, within the service's grace period.
func (p *Project) Stop(ctx context.Context, service string) error {
	return p.act(ctx, service, func(id string) error {
		_, err := p.docker.ContainerStop(ctx, id, client.ContainerStopOptions{})

		return err
	})
}

// Start starts a container that is stopped; WaitHealthy waits for more.
func (p *Project) Start(ctx context.Context, service string) error {
	return p.act(ctx, service, func(id string) error {
		_, err := p.docker.ContainerStart(ctx, id, client.ContainerStartOptions{})

		return err
	})
}

// Restart stops a container in order and starts it.
func (p *Project) Restart(ctx context.Context, service string) error {
	return errors.Join(p.Stop(ctx, service), p.Start(ctx, service))
}

// WaitHealthy waits until a service's own health check passes.
func (p *Project) WaitHealthy(ctx context.Context, service string) error {
	return until(ctx, func(ctx context.Context) error {
		found, err := p.find(ctx, service)
		switch {
		case err != nil:
			return err
		case found.State.Health == nil:
			return fmt.Errorf("%s has no health check", service)
		case !found.State.Running || found.State.Health.Status != container.Healthy:
			return fmt.Errorf("%s is %s and %s", service, found.State.Status, found.State.Health.Status)
		}

		return nil
	})
}

func (p *Project) act(ctx context.Context, service string, do func(id string) error) error {
	found, err := p.find(ctx, service)
	if err != nil {
		return err
	}
	if err := do(found.ID); err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}

	return nil
}

// cut is what was taken from its networks: service, network, endpoint.
type cut struct {
	sync.Mutex
	endpoints map[string]map[string]*network.EndpointSettings
}

// Disconnect takes a service's container off all of its networks: it runs on
// and reaches nobody.
func (p *Project) Disconnect(ctx context.Context, service string) error {
	found, err := p.find(ctx, service)
	if err != nil {
		return err
	}
	p.cut.Lock()
	defer p.cut.Unlock()
	if p.cut.endpoints == nil {
		p.cut.endpoints = map[string]map[string]*network.EndpointSettings{}
	}
	if p.cut.endpoints[service] == nil {
		p.cut.endpoints[service] = map[string]*network.EndpointSettings{}
	}
	for name, endpoint := range found.NetworkSettings.Networks {
		// The names that others know it by, and nothing that is of the moment.
		aliases := slices.DeleteFunc(slices.Clone(endpoint.Aliases), func(alias string) bool {
			return strings.HasPrefix(found.ID, alias)
		})
		p.cut.endpoints[service][name] = &network.EndpointSettings{Aliases: aliases}
		_, err := p.docker.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: found.ID, Force: true})
		if err != nil {
			return fmt.Errorf("take %s off %s: %w", service, name, err)
		}
	}

	return nil
}

// Connect undoes Disconnect.
func (p *Project) Connect(ctx context.Context, service string) error {
	found, err := p.find(ctx, service)
	if err != nil {
		return err
	}
	p.cut.Lock()
	defer p.cut.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.cut.endpoints[service])) {
		_, err := p.docker.NetworkConnect(ctx, name, client.NetworkConnectOptions{
			Container: found.ID, EndpointConfig: p.cut.endpoints[service][name],
		})
		if err != nil {
			return fmt.Errorf("put %s back on %s: %w", service, name, err)
		}
		delete(p.cut.endpoints[service], name)
	}

	return nil
}
