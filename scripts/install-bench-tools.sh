#!/bin/sh
# Installs what the benchmarks need besides npm packages: etcd-server, whose watch is a peer of ours.
# For Debian and its derivatives, as root. Run again it changes nothing.
set -eu

if command -v etcd >/dev/null 2>&1; then
  echo "install-bench-tools: etcd is already installed: $(command -v etcd)"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-bench-tools: there is no apt-get here. Install etcd with your system's packages." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "install-bench-tools: installing needs root. Run: sudo scripts/install-bench-tools.sh" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends etcd-server
# The package starts a server of its own, which the benchmarks do not use.
if command -v systemctl >/dev/null 2>&1; then systemctl disable --now etcd >/dev/null 2>&1 || true; fi
echo "install-bench-tools: installed etcd-server"
