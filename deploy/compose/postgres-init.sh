#!/bin/sh
# Run once by the Postgres image, when its data is new: roles that own, use and
# orchestrate, each with what it needs.
set -eu
psql -v ON_ERROR_STOP=1 --username postgres \
	-v owner="$LNTPAY_OWNER_PASSWORD" -v app="$LNTPAY_APP_PASSWORD" -v temporal="$TEMPORAL_PASSWORD" <<'SQL'
CREATE ROLE lntpay_owner LOGIN PASSWORD :'owner';
CREATE ROLE lntpay_app LOGIN PASSWORD :'app';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE lntpay OWNER lntpay_owner;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
-- Else every role may connect to every database, and make tables of its own.
REVOKE ALL ON DATABASE lntpay, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE lntpay TO lntpay_app;
SQL
