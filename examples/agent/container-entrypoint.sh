#!/bin/sh
# Entry point of a container: the program with the configuration of its service as environment.
#
#   ENTRYPOINT ["/container-entrypoint.sh"]
#   CMD ["node", "app.js"]
#
# Give it GATEHOUSE_URL and GATEHOUSE_SERVICE, and for a new instance a token: containers come and go, so a service token
# as a mounted secret (GATEHOUSE_SERVICE_TOKEN_FILE), or an invitation for each (GATEHOUSE_ENROLMENT_TOKEN). Without a
# volume at /var/lib/gatehouse each start is a new agent, and there is no start while the server is away.
# Start it with an init (docker run --init): as the first process it would have to bury the dead of others.
set -eu
: "${GATEHOUSE_URL:?is not set: the address of the server}"
: "${GATEHOUSE_SERVICE:?is not set: <organization>.<service>}"
# `exec`: signals of the container engine reach the agent, and through it the program.
exec gatehouse run --service "$GATEHOUSE_SERVICE" --namespace "${GATEHOUSE_NAMESPACE:-default}" \
  --state-dir "${GATEHOUSE_STATE_DIR:-/var/lib/gatehouse}" -- "$@"
