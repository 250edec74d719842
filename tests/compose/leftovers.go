package compose

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"

	"github.com/moby/moby/client"
)

// labelProject is Compose's own label on all that it makes.
const labelProject = "com.docker.compose.project"

// A project's name says which process of which machine it belongs to: the next
// test of this machine removes what one that was killed left.
var nameOfProject = regexp.MustCompile(`^lntpaytest-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{6}$`)

func projectName() (string, error) {
	host, err := hostID()
	if err != nil {
		return "", err
	}
	random := make([]byte, 3)
	_, _ = rand.Read(random)

	return fmt.Sprintf("lntpaytest-%s-%d-%x", host, os.Getpid(), random), nil
}

func hostID() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(name))

	return hex.EncodeToString(sum[:4]), nil
}

// dead reports whether a project's process, of this machine, is gone.
func dead(project, host string) bool {
	found := nameOfProject.FindStringSubmatch(project)
	if found == nil || found[1] != host {
		return false
	}
	pid, err := strconv.Atoi(found[2])

	return err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// removeLeftovers removes the projects of dead processes. Several tests may do
// it at once, so what is gone already is no error.
func removeLeftovers(ctx context.Context, docker *client.Client) error {
	host, err := hostID()
	if err != nil {
		return err
	}
	filter := client.Filters{}.Add("label", labelProject)
	left := map[string]bool{}
	note := func(labels map[string]string) {
		if dead(labels[labelProject], host) {
			left[labels[labelProject]] = true
		}
	}
	boxes, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return err
	}
	for _, found := range boxes.Items {
		note(found.Labels)
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		return err
	}
	for _, found := range volumes.Items {
		note(found.Labels)
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		return err
	}
	for _, found := range networks.Items {
		note(found.Labels)
	}
	for project := range left {
		_ = removeProject(ctx, docker, project)
	}

	return nil
}

// removeProject removes all that has a project's label: containers, then what
// they used.
func removeProject(ctx context.Context, docker *client.Client, project string) error {
	filter := client.Filters{}.Add("label", labelProject+"="+project)
	var failed []error
	boxes, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	failed = append(failed, err)
	for _, found := range boxes.Items {
		_, err := docker.ContainerRemove(ctx, found.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		failed = append(failed, err)
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	failed = append(failed, err)
	for _, found := range networks.Items {
		_, err := docker.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
		failed = append(failed, err)
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	failed = append(failed, err)
	for _, found := range volumes.Items {
		_, err := docker.VolumeRemove(ctx, found.Name, client.VolumeRemoveOptions{Force: true})
		failed = append(failed, err)
	}

	return errors.Join(failed...)
}
