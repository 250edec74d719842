package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// rootfsVersion changes with what postgresRootfs makes of the same packages.
const rootfsVersion = "1"

// postgresUser is the official image's.
const postgresUser = 999

// wanted are the packages to start from; apt finds what they need.
var wanted = []string{"postgresql", "busybox-static", "tzdata"}

// A server needs its own package, that of its client programs, a shell with the
// usual commands (busybox), time zones, the C locales, and libraries. It does not need
// what Debian configures servers with, nor the compiler for queries, which is
// larger than all the rest and which Postgres does without.
var (
	neededPackages = regexp.MustCompile(`^(lib.*|zlib1g|postgresql-[0-9]+|postgresql-client-[0-9]+|busybox-static|tzdata)$`)
	useless        = regexp.MustCompile(`perl|^lib(llvm|z3|db5|gdbm|semanage|sepol|pam-modules|c-l10n|audit-common)`)
	neededPaths    = regexp.MustCompile(`^(usr/)?(lib|lib32|lib64|libx32)(/|$)|` +
		`^usr/share/(postgresql|zoneinfo)(/|$)|^(usr/)?bin/busybox$`)
	uselessPaths    = regexp.MustCompile(`^usr/lib/postgresql/[0-9]+/lib/(bitcode/|llvmjit|pgxs/)|^usr/lib/(systemd|tmpfiles\.d)/`)
	serverPackage   = regexp.MustCompile(`^postgresql-([0-9]+)$`)
	busyboxCommands = strings.Fields(`awk base64 basename cat chmod cp cut date df dirname du env expr false find grep gunzip gzip head
		hostname id ln ls mkdir mktemp more mv nc od printf ps pwd rm rmdir sed seq sh sleep sort stat sync tail tar tee test timeout
		touch tr true uname uniq wc wget which xargs`)
)

// postgresRootfs makes the root file system of a Postgres server from Debian's
// packages, as a tar archive. Nothing is unpacked on this machine, so it needs
// no root.
func postgresRootfs(ctx context.Context, say func(string)) ([]byte, error) {
	dir, err := os.MkdirTemp("", "lntpay-images-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	apt, err := newApt(dir)
	if err != nil {
		return nil, err
	}
	say("reading Debian's package lists")
	if _, err := apt.run(ctx, "update"); err != nil {
		return nil, err
	}
	names, err := apt.resolve(ctx)
	if err != nil {
		return nil, err
	}
	say(fmt.Sprintf("downloading %d Debian packages", len(names)))
	if _, err := apt.run(ctx, append([]string{"download"}, names...)...); err != nil {
		return nil, err
	}
	major, err := majorOf(names)
	if err != nil {
		return nil, err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(packages) != len(names) {
		return nil, errors.Join(err, fmt.Errorf("%d of %d packages were downloaded", len(packages), len(names)))
	}
	root := newRootfs()
	for _, name := range packages {
		if err := root.add(ctx, name); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}

	return root.finish(major)
}

// majorOf is the version of the server among packages.
func majorOf(names []string) (string, error) {
	for _, name := range names {
		if found := serverPackage.FindStringSubmatch(name); found != nil {
			return found[1], nil
		}
	}

	return "", errors.New("the package postgresql depends on no server")
}

// apt is an apt-get with lists of its own, that knows of no installed package.
type apt struct {
	dir     string
	options []string
}

func newApt(dir string) (apt, error) {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return apt{}, err
		}
	}
	status := filepath.Join(dir, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return apt{}, err
	}
	var options []string
	for _, option := range []string{
		"Dir::State::Lists=" + filepath.Join(dir, "lists"), "Dir::State::status=" + status,
		"Dir::Cache=" + filepath.Join(dir, "cache"), "Debug::NoLocking=1", "Acquire::Retries=3",
		// Root's apt would download as another user, who may not write here.
		"APT::Sandbox::User=root", "Acquire::Languages=none",
	} {
		options = append(options, "-o", option)
	}

	return apt{dir: dir, options: append(options, "-qq", "--no-install-recommends")}, nil
}

func (a apt) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append(slices.Clone(a.options), args...)...)
	cmd.Dir = a.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}

	return out, nil
}

// resolve names the packages that are needed.
func (a apt) resolve(ctx context.Context) ([]string, error) {
	out, err := a.run(ctx, append([]string{"--print-uris", "install"}, wanted...)...)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		// 'URI' FILE SIZE HASH, and the file is NAME_VERSION_ARCHITECTURE.deb.
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		name, _, _ := strings.Cut(fields[1], "_")
		if neededPackages.MatchString(name) && !useless.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("apt-get names no packages")
	}

	return names, nil
}

// rootfs is an archive that is being written.
type rootfs struct {
	buffer bytes.Buffer
	out    *tar.Writer
	have   map[string]bool
}

func newRootfs() *rootfs {
	r := &rootfs{have: map[string]bool{}}
	r.out = tar.NewWriter(&r.buffer)

	return r
}

// add copies the files of a package that are needed.
func (r *rootfs) add(ctx context.Context, deb string) (err error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	files := tar.NewReader(stdout)
	for {
		header, nextErr := files.Next()
		if errors.Is(nextErr, io.EOF) {
			break
		}
		if nextErr == nil {
			nextErr = r.copy(header, files)
		}
		if nextErr != nil {
			return errors.Join(nextErr, cmd.Process.Kill(), cmd.Wait())
		}
	}
	// What pads the archive has to be read, or the writer fails.
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		return err
	}

	return cmd.Wait()
}

// copy takes one entry over: owned by root, and in /usr as on a merged system.
func (r *rootfs) copy(header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if header.Typeflag == tar.TypeDir || !neededPaths.MatchString(name) || uselessPaths.MatchString(name) {
		// Folders are made as they are needed.
		return nil
	}
	merged := *header
	merged.Name = inUsr(name)
	if header.Typeflag == tar.TypeLink {
		merged.Linkname = inUsr(path.Clean(header.Linkname))
	}
	merged.Uid, merged.Gid, merged.Uname, merged.Gname = 0, 0, "", ""
	merged.Mode &= 0o777
	if err := r.entry(&merged); err != nil {
		return err
	}
	_, err := io.Copy(r.out, content)

	return err
}

func inUsr(name string) string {
	if strings.HasPrefix(name, "usr/") {
		return name
	}

	return "usr/" + name
}

// entry writes a header, and before it the folders that it is in.
func (r *rootfs) entry(header *tar.Header) error {
	if err := r.folders(path.Dir(header.Name)); err != nil {
		return err
	}
	r.have[header.Name] = true

	return r.out.WriteHeader(header)
}

func (r *rootfs) folders(name string) error {
	if name == "." || r.have[name] {
		return nil
	}

	return r.folder(name, 0o755, 0)
}

func (r *rootfs) folder(name string, mode int64, owner int) error {
	return r.entry(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner})
}

func (r *rootfs) text(name, text string) error {
	if err := r.entry(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(r.out, text)

	return err
}

func (r *rootfs) link(name, to string) error {
	return r.entry(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777})
}

// finish adds what is in no package and ends the archive.
func (r *rootfs) finish(major string) ([]byte, error) {
	users := "root:x:0:0:root:/root:/bin/sh\npostgres:x:%d:%d::/var/lib/postgresql:/bin/sh\n"
	errs := []error{
		r.text("etc/passwd", fmt.Sprintf(users, postgresUser, postgresUser)),
		r.text("etc/group", fmt.Sprintf("root:x:0:\npostgres:x:%d:\n", postgresUser)),
		r.folder("tmp", 0o1777, 0),
		r.folder("run", 0o755, 0),
		r.folder("run/postgresql", 0o1777, postgresUser),
		r.link("var/run", "/run"),
		r.folder("var/lib/postgresql", 0o755, postgresUser),
		r.folder("var/lib/postgresql/data", 0o700, postgresUser),
		r.folder("docker-entrypoint-initdb.d", 0o755, 0),
		r.link("usr/lib/postgresql/bin", major+"/bin"),
	}
	for _, name := range []string{"bin", "lib", "lib32", "lib64", "libx32"} {
		errs = append(errs, r.folders("usr/"+name), r.link(name, "usr/"+name))
	}
	for _, name := range busyboxCommands {
		errs = append(errs, r.link("usr/bin/"+name, "busybox"))
	}
	if err := errors.Join(append(errs, r.out.Close())...); err != nil {
		return nil, err
	}

	return r.buffer.Bytes(), nil
}
