#!/bin/sh
# Installs what the tests need besides npm packages: Chromium, for the tests in a browser (*.browser.test.ts), and
# redis-server, for the tests of what is published to Reuni's agents.
# For Debian and its derivatives, as root. Run again it changes nothing.
set -eu

packages=""

found=""
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if [ -z "$found" ]; then found="$(command -v "$name" || true)"; fi
done
if [ -n "$found" ]; then
  echo "install-test-tools: Chromium is already installed: $found"
else
  packages="$packages chromium"
fi
if command -v redis-server >/dev/null 2>&1; then
  echo "install-test-tools: redis-server is already installed: $(command -v redis-server)"
else
  packages="$packages redis-server"
fi
if [ -z "$packages" ]; then exit 0; fi

if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-test-tools: there is no apt-get here. Install$packages with your system's packages;" >&2
  echo "CHROMIUM may be set to the path of a Chromium or Chrome." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "install-test-tools: installing needs root. Run: sudo scripts/install-test-tools.sh" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "install-test-tools: apt-get update"
apt-get update -q
echo "install-test-tools: apt-get install$packages"
# shellcheck disable=SC2086 -- a list of package names
apt-get install -q -y --no-install-recommends $packages
echo "install-test-tools: installed$packages"
