package regtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/moby/moby/client"
)

// The labels that name the test process a container belongs to. Without Ryuk
// nothing removes the containers of a test that was killed, so the next test
// of this machine does.
const (
	labelHost = "com.lntpay.regtest.host"
	labelPID  = "com.lntpay.regtest.pid"
)

// labels mark what this process starts.
func labels() (map[string]string, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}

	return map[string]string{labelHost: name, labelPID: strconv.Itoa(os.Getpid())}, nil
}

// dead reports whether labels name a process of this machine that is gone.
func dead(found, own map[string]string) bool {
	pid, err := strconv.Atoi(found[labelPID])

	return err == nil && found[labelHost] == own[labelHost] && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// removeLeftovers removes containers, and then networks, of dead processes.
// Several tests may do it at once, so one that is gone already is no error.
func removeLeftovers(ctx context.Context, docker *client.Client, own map[string]string) error {
	mine := client.Filters{}.Add("label", fmt.Sprintf("%s=%s", labelHost, own[labelHost]))
	boxes, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		return err
	}
	for _, found := range boxes.Items {
		if dead(found.Labels, own) {
			_, _ = docker.ContainerRemove(ctx, found.ID, client.ContainerRemoveOptions{Force: true})
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: mine})
	if err != nil {
		return err
	}
	for _, found := range networks.Items {
		if dead(found.Labels, own) {
			_, _ = docker.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
		}
	}

	return nil
}
