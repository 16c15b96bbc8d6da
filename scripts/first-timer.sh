# The first thing to do with a node that has just started, for `make try` and `make dev`. Sourced.
# shellcheck shell=bash

first_timer() {
    cat >&2 <<TEXT

When it is up, in another terminal:

  $BIN/timerctl listen --port 9000          # or any HTTP server of yours

  curl -i -X PUT http://$1/api/v1/groups/default/timers/hello \\
    -H 'content-type: application/json' \\
    -d '{"delay": "5s", "callbackUrl": "http://127.0.0.1:9000/", "payload": {"hello": "world"}}'

TEXT
}
