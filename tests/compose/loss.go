package compose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Lose loses every packet between two services, both ways, as a broken network
// does: neither side is told, and connections stay open. heal ends it. Packets
// are dropped where they arrive, so that a sender's kernel knows nothing either.
// It takes root, nsenter and iptables on this machine.
func (p *Project) Lose(ctx context.Context, one, other string) (heal func() error, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root can enter the network of a container")
	}
	ends := map[string]container.InspectResponse{}
	for _, service := range []string{one, other} {
		if ends[service], err = p.find(ctx, service); err != nil {
			return nil, err
		}
	}
	var drops []drop
	heal = func() error {
		var failed []error
		for _, d := range drops {
			failed = append(failed, d.apply("-D"))
		}

		return errors.Join(failed...)
	}
	for _, way := range [][2]string{{one, other}, {other, one}} {
		for _, endpoint := range ends[way[0]].NetworkSettings.Networks {
			d := drop{at: ends[way[1]].State.Pid, from: endpoint.IPAddress}
			if err := d.apply("-I"); err != nil {
				return nil, errors.Join(fmt.Errorf("lose what %s sends to %s: %w", way[0], way[1], err), heal())
			}
			drops = append(drops, d)
		}
	}

	return heal, nil
}

// drop is a rule in the network of the process: nothing arrives from there.
type drop struct {
	at   int
	from netip.Addr
}

// apply makes or deletes the rule. It is gone with its container.
func (d drop) apply(how string) error {
	pid := strconv.Itoa(d.at)
	// The rules of a process that is gone went with its network.
	if _, err := os.Stat("/proc/" + pid); how == "-D" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	out, err := exec.Command("nsenter", "--target", pid, "--net", "iptables", "--wait", how, "INPUT", "--source", d.from.String(),
		"--jump", "DROP").CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w\n%s", how, err, out)
	}

	return nil
}

// Pause stops all processes of a service where they are; Resume lets them go on.
func (p *Project) Pause(ctx context.Context, service string) error {
	return p.act(ctx, service, func(id string) error {
		_, err := p.docker.ContainerPause(ctx, id, client.ContainerPauseOptions{})

		return err
	})
}

// Resume undoes Pause.
func (p *Project) Resume(ctx context.Context, service string) error {
	return p.act(ctx, service, func(id string) error {
		_, err := p.docker.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})

		return err
	})
}
