#!/bin/sh
# A Chromium for the browser tests: one that is there, else Debian's when we may install it.
# Without one the other tests still run, but not in CI (CI=true), where it is an error.
set -eu
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then exit 0; fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "No Chromium here: installing Debian's (chromium)."
    apt-get update -qq || true
    if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; then exit 0; fi
fi

cat >&2 <<'WORDS'
***********************************************************************
  NO BROWSER: no Chromium on the PATH, and it could not be installed
  (that takes root and apt-get, or a package source that has it).
  Browser tests will not run. To have them: install Chromium.
***********************************************************************
WORDS
[ "${CI:-}" != true ]
