// Command images builds every image of docker-compose.yml without a registry:
// what is Go is a static binary of a pinned version (package tools) on nothing,
// and Postgres is put together from the packages of the Debian that runs here,
// by an entrypoint of ours that does what docker-compose.yml needs of the
// official image's.
//
// Each image has two tags, lntpay/NAME:local and one that names its content,
// which is also a label: an image that is there already is not built again, and
// tests of two versions can run at once. It prints what it built; with -env it
// writes a file of the variables that docker-compose.yml reads.
//
// It needs the docker command with a daemon behind it, Go, and for Postgres
// apt-get and dpkg-deb with a Debian mirror (no root).
package main
