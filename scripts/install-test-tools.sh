#!/bin/sh
# Installs what the tests need besides npm packages: Chromium, for the tests in a browser (*.browser.test.ts).
# For Debian and its derivatives, as root. Run again it changes nothing.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null 2>&1; then
    echo "install-test-tools: $name is already installed: $(command -v "$name")"
    exit 0
  fi
done

if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-test-tools: there is no apt-get here. Install Chromium with your system's packages," >&2
  echo "or set CHROMIUM to the path of a Chromium or Chrome." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "install-test-tools: installing needs root. Run: sudo scripts/install-test-tools.sh" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "install-test-tools: apt-get update"
apt-get update -q
echo "install-test-tools: apt-get install chromium"
apt-get install -q -y --no-install-recommends chromium
echo "install-test-tools: installed $(command -v chromium)"
