#!/bin/sh
# Run once by the database's image, in an empty database: two logins and their database. The owner alters the
# schema and gives rights; the gateway's login owns nothing. psql reads the passwords from the files itself, so
# that they stand in no command line.
set -eu

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set owner_password `cat /run/secrets/owner-password`
\set gateway_password `cat /run/secrets/gateway-password`
SET password_encryption = 'scram-sha-256';
CREATE ROLE chengxin_owner LOGIN CREATEROLE PASSWORD :'owner_password';
CREATE ROLE chengxin_gateway LOGIN PASSWORD :'gateway_password';
CREATE DATABASE chengxin OWNER chengxin_owner TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE chengxin FROM PUBLIC;
GRANT CONNECT ON DATABASE chengxin TO chengxin_gateway;
SQL
