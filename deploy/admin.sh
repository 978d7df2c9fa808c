#!/bin/sh
# `chengxin` as root calls it on an installation of deploy/docs/install.md: /usr/local/sbin/chengxin. Every command
# of the runbook is run as the service's user, on the service's settings.
#
# Invariant: what opens the keys and the tables is root's, in /etc/chengxin/secrets. It is lent to the command in a
# directory in memory that only the service's user can enter, and is gone when the command ends, however it ends.
# Files that a command reads or writes are the service's user's: work in a directory of its, /srv/chengxin.
set -eu

secrets=/etc/chengxin/secrets
user=chengxin

if [ "$(id -u)" -ne 0 ]; then
    echo "chengxin: this is for root, who lends the passphrase; clients call /opt/chengxin/bin/chengxin" >&2
    exit 1
fi
[ -s "$secrets/passphrase" ] || {
    echo "chengxin: $secrets/passphrase is not there: write the passphrase, or the token's PIN, into it (0600)" >&2
    exit 1
}
umask 077
lent=$(mktemp -d /run/chengxin-admin.XXXXXX)
trap 'rm -rf "$lent"' EXIT
trap 'exit 1' HUP INT TERM
for name in passphrase owner-password; do
    [ ! -e "$secrets/$name" ] || install -m 0400 -o "$user" -g "$user" "$secrets/$name" "$lent/$name"
done
chown "$user:$user" "$lent"

runuser -u "$user" -- env \
    CHENGXIN_HOME=/var/lib/chengxin \
    CHENGXIN_CONFIG=/etc/chengxin/config.toml \
    CHENGXIN_CHECKPOINT_COPY=/var/lib/chengxin-outside/checkpoint \
    CHENGXIN_PASSPHRASE_FILE="$lent/passphrase" \
    CHENGXIN_DATABASE_OWNER_PASSWORD_FILE="$lent/owner-password" \
    /opt/chengxin/bin/chengxin "$@"
