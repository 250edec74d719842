#!/bin/sh
# What docker-compose.yml needs of the official Postgres image's entrypoint, for
# one that runs as the user postgres from the start: a new PGDATA gets a
# superuser with POSTGRES_PASSWORD, a database, and what is in
# /docker-entrypoint-initdb.d (*.sh and *.sql, in the order of their names).
set -eu

# POSTGRES_PASSWORD_FILE stands for POSTGRES_PASSWORD, as there.
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
	POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
fi
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"

initialize() {
	if [ -z "${POSTGRES_PASSWORD:-}" ]; then
		echo "POSTGRES_PASSWORD is needed for a new database" >&2
		exit 1
	fi
	password=$(mktemp)
	printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
	# The arguments are several words.
	# shellcheck disable=SC2086
	initdb --username="$POSTGRES_USER" --pwfile="$password" --encoding=UTF8 \
		--auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
	rm "$password"
	printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
	printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
}

# Nobody but the scripts reaches the server before they are done.
run_scripts() {
	pg_ctl --wait --options="-c listen_addresses=''" start
	if [ "$POSTGRES_DB" != postgres ]; then
		psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
			-v db="$POSTGRES_DB" <<-'SQL'
			CREATE DATABASE :"db";
		SQL
	fi
	for script in /docker-entrypoint-initdb.d/*; do
		case $script in
		*.sh)
			echo "running $script"
			if [ -x "$script" ]; then "$script"; else . "$script"; fi
			;;
		*.sql)
			echo "running $script"
			psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file "$script"
			;;
		esac
	done
	pg_ctl --mode=fast --wait stop
}

if [ "${1:-}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
	initialize
	run_scripts
fi
unset POSTGRES_PASSWORD
exec "$@"
