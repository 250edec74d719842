package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// labelContent is the label with the digest of what an image was built from.
const labelContent = "com.lntpay.content"

const (
	daemonTimeout = 10 * time.Second
	buildTimeout  = 10 * time.Minute
)

// file is a file or an empty folder of a build context.
type file struct {
	path string
	// from is a path on this machine; content is used when it is empty.
	from    string
	content []byte
	mode    int64
	folder  bool
}

func (f file) open() (io.ReadCloser, int64, error) {
	if f.from == "" {
		return io.NopCloser(bytes.NewReader(f.content)), int64(len(f.content)), nil
	}
	opened, err := os.Open(f.from)
	if err != nil {
		return nil, 0, err
	}
	info, err := opened.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, opened.Close())
	}

	return opened, info.Size(), nil
}

// docker runs the docker command.
type docker struct {
	// tags are those of the contents of the images so far, by local tag.
	tags map[string]string
}

// newDocker reports an error when no daemon answers.
func newDocker(ctx context.Context) (*docker, error) {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	if _, err := command(ctx, nil, "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, fmt.Errorf("no Docker daemon answers: %w", err)
	}

	return &docker{tags: map[string]string{}}, nil
}

// made is an image that exists.
type made struct {
	tag   string
	bytes int64
	built bool
}

// ensure builds an image unless one of the same content is there, and moves the
// local tag to it. refresh builds anew what comes from packages.
func (d *docker) ensure(ctx context.Context, i image, refresh bool, say func(string)) (made, error) {
	for local, tag := range d.tags {
		i.dockerfile = strings.Replace(i.dockerfile, "FROM "+local+"\n", "FROM "+tag+"\n", 1)
	}
	files, err := i.files(ctx)
	if err != nil {
		return made{}, err
	}
	content, err := contentOf(i, files)
	if err != nil {
		return made{}, err
	}
	tag := "lntpay/" + i.name + ":" + content[:12]
	d.tags[i.local()] = tag
	size, err := inspect(ctx, tag, content)
	built := err != nil || refresh && i.refreshes
	if built {
		if err := build(ctx, i, files, tag, content, say); err != nil {
			return made{}, err
		}
		if size, err = inspect(ctx, tag, content); err != nil {
			return made{}, err
		}
	}
	if _, err := command(ctx, nil, "tag", tag, i.local()); err != nil {
		return made{}, err
	}

	return made{tag: tag, bytes: size, built: built}, nil
}

// contentOf is the digest of all that decides an image.
func contentOf(i image, files []file) (string, error) {
	sum := sha256.New()
	write(sum, "dockerfile", []byte(i.dockerfile))
	for _, input := range i.inputs {
		write(sum, "input", []byte(input))
	}
	for _, f := range files {
		opened, size, err := f.open()
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(sum, "%s %o %t %d\n", f.path, f.mode, f.folder, size)
		_, err = io.Copy(sum, opened)
		if err = errors.Join(err, opened.Close()); err != nil {
			return "", fmt.Errorf("read %s: %w", f.path, err)
		}
	}

	return hex.EncodeToString(sum.Sum(nil)), nil
}

func write(sum hash.Hash, name string, text []byte) {
	_, _ = fmt.Fprintf(sum, "%s %d\n%s\n", name, len(text), text)
}

// inspect gives an image's size, and an error when there is none of this
// content.
func inspect(ctx context.Context, tag, content string) (int64, error) {
	out, err := command(ctx, nil, "image", "inspect", tag)
	if err != nil {
		return 0, err
	}
	var found []struct {
		Size   int64
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(out, &found); err != nil || len(found) != 1 {
		return 0, fmt.Errorf("read docker image inspect: %w", err)
	}
	if found[0].Config.Labels[labelContent] != content {
		return 0, fmt.Errorf("%s is of another content", tag)
	}

	return found[0].Size, nil
}

// build sends the build context to the daemon as it is written.
func build(ctx context.Context, i image, files []file, tag, content string, say func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	say("building " + tag)
	files = append([]file{{path: "Dockerfile", content: []byte(i.dockerfile), mode: 0o644}}, files...)
	if i.rootfs != nil {
		rootfs, err := i.rootfs(ctx, say)
		if err != nil {
			return err
		}
		files = append(files, file{path: "rootfs.tar", content: rootfs, mode: 0o644})
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(archive(writer, files)) }()
	// --force-rm: the steps of a build that failed are not left behind.
	_, err := command(ctx, reader, "build", "--quiet", "--force-rm", "--tag", tag, "--label", labelContent+"="+content, "-")
	_ = reader.Close()

	return err
}

// archive writes a build context. The same files make the same archive.
func archive(to io.Writer, files []file) error {
	out := tar.NewWriter(to)
	for _, f := range files {
		if f.folder {
			header := &tar.Header{Typeflag: tar.TypeDir, Name: f.path + "/", Mode: f.mode}
			if err := out.WriteHeader(header); err != nil {
				return err
			}

			continue
		}
		opened, size, err := f.open()
		if err != nil {
			return err
		}
		err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, Size: size})
		if err == nil {
			_, err = io.Copy(out, opened)
		}
		if err = errors.Join(err, opened.Close()); err != nil {
			return fmt.Errorf("pack %s: %w", f.path, err)
		}
	}

	return out.Close()
}

// command runs the docker command and gives its output.
func command(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(append(out, stderr.Bytes()...)))
	}

	return out, nil
}
