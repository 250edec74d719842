package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lntpay/lntpay/deploy/devnet/tools"
)

func read(t *testing.T, path string) string {
	t.Helper()
	root, err := tools.RepositoryRoot("")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)

	return string(text)
}

// The image that is tested is the last stage of the Dockerfile: it needs
// nothing but what the build context has.
func TestTheDockerfilesLastStageIsUsed(t *testing.T) {
	t.Parallel()
	stage, err := lastStage(read(t, "deploy/Dockerfile"))
	require.NoError(t, err)
	require.NotContains(t, stage, "--from")
	require.Contains(t, stage, "COPY /out/lntpay /lntpay\n")
	require.Contains(t, stage, "\nUSER 65532:65532\n")
	// The first stage makes the folders that the label of the last names.
	names := volumes(stage)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.Contains(t, read(t, "deploy/Dockerfile"), " "+name)
		require.Regexp(t, `[/:]volumes/`+name+`\b`, read(t, "docker-compose.yml"))
	}

	_, err = lastStage("FROM golang AS build\nFROM scratch\nFROM debian\n")
	require.Error(t, err)
}

// Each image has a variable that the compose file reads, and none is left out.
func TestEveryImageIsOverridable(t *testing.T) {
	t.Parallel()
	root, err := tools.RepositoryRoot("")
	require.NoError(t, err)
	images, err := catalog(root, func(string) {})
	require.NoError(t, err)
	compose := read(t, "docker-compose.yml")
	for _, one := range images {
		require.Contains(t, compose, "image: ${"+one.variable+":-", one.name)
	}
	require.Len(t, images, 8)
	require.NotRegexp(t, `(?m)^\s*image: [^$]`, compose)
}

func TestWhatPostgresNeedsOfDebian(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"libc6", "libc-bin", "zlib1g", "libssl3t64", "postgresql-17", "postgresql-client-17", "tzdata"} {
		require.True(t, neededPackages.MatchString(name) && !useless.MatchString(name), name)
	}
	for _, name := range []string{"perl", "libperl5.36", "libjson-perl", "libllvm14", "postgresql", "postgresql-common", "dpkg"} {
		require.False(t, neededPackages.MatchString(name) && !useless.MatchString(name), name)
	}
	major, err := majorOf([]string{"libpq5", "postgresql-client-15", "postgresql-15"})
	require.NoError(t, err)
	require.Equal(t, "15", major)
	_, err = majorOf([]string{"libpq5"})
	require.Error(t, err)
}

// A merged /usr, root as the owner, folders before what is in them, and what is
// not needed left out.
func TestRootfs(t *testing.T) {
	t.Parallel()
	r := newRootfs()
	for _, entry := range []struct {
		header tar.Header
		text   string
	}{
		{header: tar.Header{Typeflag: tar.TypeReg, Name: "./lib/x86_64-linux-gnu/libc.so.6", Mode: 0o755, Uid: 7}, text: "libc"},
		{header: tar.Header{Typeflag: tar.TypeReg, Name: "./usr/lib/postgresql/15/bin/postgres", Mode: 0o4755}, text: "server"},
		{header: tar.Header{Typeflag: tar.TypeReg, Name: "./usr/lib/postgresql/15/lib/llvmjit.so", Mode: 0o644}, text: "jit"},
		{header: tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/doc/libc6/copyright", Mode: 0o644}, text: "doc"},
		{header: tar.Header{Typeflag: tar.TypeReg, Name: "./bin/busybox", Mode: 0o755}, text: "sh"},
	} {
		entry.header.Size = int64(len(entry.text))
		require.NoError(t, r.copy(&entry.header, bytes.NewBufferString(entry.text)))
	}
	archived, err := r.finish("15")
	require.NoError(t, err)
	found := map[string]*tar.Header{}
	for reader := tar.NewReader(bytes.NewReader(archived)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotContains(t, found, header.Name)
		if dir := filepath.Dir(header.Name); dir != "." {
			require.Contains(t, found, dir, header.Name)
		}
		found[header.Name] = header
	}
	require.Zero(t, found["usr/lib/x86_64-linux-gnu/libc.so.6"].Uid)
	require.EqualValues(t, 0o755, found["usr/lib/postgresql/15/bin/postgres"].Mode, "no set-user-ID program")
	require.Equal(t, "usr/lib", found["lib"].Linkname)
	require.Equal(t, "busybox", found["usr/bin/sh"].Linkname)
	require.Equal(t, postgresUser, found["var/lib/postgresql/data"].Uid)
	require.NotContains(t, found, "usr/lib/postgresql/15/lib/llvmjit.so")
	require.NotContains(t, found, "usr/share/doc/libc6/copyright")
}

// The content is what an image's tag and cache go by.
func TestContentDecides(t *testing.T) {
	t.Parallel()
	one := image{name: "one", dockerfile: "FROM scratch\nCOPY a /\n", files: func(context.Context) ([]file, error) { return nil, nil }}
	digest := func(i image, files ...file) string {
		content, err := contentOf(i, files)
		require.NoError(t, err)

		return content
	}
	a := file{path: "a", content: []byte("x"), mode: 0o755}
	first := digest(one, a)
	require.Equal(t, first, digest(one, a))
	changed := a
	changed.content = []byte("y")
	require.NotEqual(t, first, digest(one, changed))
	other := one
	other.dockerfile += "USER 1\n"
	require.NotEqual(t, first, digest(other, a))
	other = one
	other.inputs = []string{"Debian 13"}
	require.NotEqual(t, first, digest(other, a))

	var packed bytes.Buffer
	require.NoError(t, archive(&packed, []file{a, {path: "empty", folder: true, mode: 0o700}}))
	names := []string{}
	for reader := tar.NewReader(&packed); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, header.Name)
	}
	require.Equal(t, []string{"a", "empty/"}, names)
}
