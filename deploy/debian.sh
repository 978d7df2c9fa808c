#!/bin/sh
# Installs the Debian packages of deploy/debian-packages.txt whose commands are missing. Needs root, and an apt
# that knows a mirror. Invariant: no service is started by it. Debian starts a daemon as it is installed, unless
# /usr/sbin/policy-rc.d says 101 (invoke-rc.d(8)): one that says so stands there while this runs, and the
# one that was there before, if any, is put back.
set -eu
cd "$(dirname "$0")"

policy=/usr/sbin/policy-rc.d
PATH="$PATH:/usr/sbin:/sbin" # where nginx is, also for those who are not root

fail() {
    printf 'debian: %s\n' "$*" >&2
    exit 1
}

missing=$(sed 's/#.*//' debian-packages.txt | while read -r package command; do
    [ -z "$package" ] || command -v "$command" >/dev/null 2>&1 || printf '%s ' "$package"
done)
if [ -z "$missing" ]; then
    echo "debian: all tools are there"
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || fail "no apt-get here: install these in your system's way: $missing"
[ "$(id -u)" -eq 0 ] || fail "needs root: sudo make debian (it installs: $missing)"

restore() {
    rm -f "$policy"
    [ ! -e "$policy.chengxin" ] || mv "$policy.chengxin" "$policy"
}
[ -e "$policy.chengxin" ] || [ ! -e "$policy" ] || mv "$policy" "$policy.chengxin"
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "debian: installing $missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || fail "apt-get update failed: see above, then try again"
# shellcheck disable=SC2086  # one word for each package
apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    fail "apt-get install failed: see above, then try again"
echo "debian: installed, nothing started"
if [ -d /run/systemd/system ]; then
    echo "debian: what is a service starts at the next boot; if it should not: systemctl disable nginx prometheus"
fi
