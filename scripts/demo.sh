#!/usr/bin/env bash
# Shows the promise on one machine: three nodes, timers that come due one after the other, and a kill -9 of the
# node that leads most shards in the middle. Ends by itself, leaves nothing behind, and fails if a timer is lost.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

TIMERS=30
FIRST_DUE_S=5   # from now; all timers are created by then
EVERY_MS=500    # between two due times
KILL_AFTER_S=10 # from now: a third of the timers have been due
WAIT_MAX_S=60   # for the last callback

"$REPO/scripts/build.sh"

dir="$(mktemp -d)"
declare -A pid=()
# Ends what this script started, and only that: politely, then not.
finish() {
    local status=$? name until=$((SECONDS + 15))
    for name in "${!pid[@]}"; do kill "${pid[$name]}" 2>/dev/null || true; done
    for name in "${!pid[@]}"; do
        while kill -0 "${pid[$name]}" 2>/dev/null && [ "$SECONDS" -lt "$until" ]; do sleep 0.1; done
        kill -9 "${pid[$name]}" 2>/dev/null && say "$name did not end within 15 s"
        wait "${pid[$name]}" 2>/dev/null || true
    done
    if [ "$status" = 0 ]; then rm -rf "$dir"; else say "logs and data: $dir"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

declare -A taken=()
new_port() {
    port="$(free_port)"
    while [ -n "${taken[$port]:-}" ]; do port="$(free_port)"; done
    taken[$port]=1
}

declare -A http=() peer=()
for name in n1 n2 n3; do
    new_port && http[$name]=$port
    new_port && peer[$name]=$port
done
new_port && receiver=$port

configure() {
    cat >"$dir/$1.toml" <<TOML
[node]
name = "$1"
data_dir = "$dir/$1"
[http]
listen = "127.0.0.1:${http[$1]}"
[peer]
listen = "127.0.0.1:${peer[$1]}"
[cluster]
name = "demo"
peers = ["n1=127.0.0.1:${peer[n1]}", "n2=127.0.0.1:${peer[n2]}", "n3=127.0.0.1:${peer[n3]}"]
[delivery]
allow = ["loopback"] # the receiver is on this machine
[log]
format = "text"
TOML
}

# `wait_for SECONDS WHAT COMMAND…` runs the command until it succeeds.
wait_for() {
    local until=$((SECONDS + $1)) what="$2"
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || fail "$what: not within the time it should take"
        sleep 0.1
    done
}
is_ready() { curl -fsS -m 2 "http://127.0.0.1:${http[$1]}/readyz"; }
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

for name in n1 n2 n3; do
    configure $name
    "$BIN/timerd" serve --config "$dir/$name.toml" >"$dir/$name.log" 2>&1 &
    pid[$name]=$!
done
"$BIN/timerctl" listen --port "$receiver" --output json >"$dir/callbacks" 2>"$dir/receiver.log" &
pid[receiver]=$!
for name in n1 n2 n3; do wait_for 60 "$name is ready" is_ready $name; done
wait_for 10 "the receiver listens" is_open "$receiver"
say "three nodes on 127.0.0.1, ports ${http[n1]} ${http[n2]} ${http[n3]}; the receiver on port $receiver"

start_ms="$(date +%s%3N)"
due_ms() { echo $((start_ms + FIRST_DUE_S * 1000 + ($1 - 1) * EVERY_MS)); }
rfc3339() { date -u -d "@$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))" +%Y-%m-%dT%H:%M:%S.%3NZ; }

created=0
for n in $(seq 1 $TIMERS); do
    name="n$((n % 3 + 1))" # any node takes any request
    status="$(curl -sS -m 10 -o "$dir/answer" -w '%{http_code}' -X PUT \
        "http://127.0.0.1:${http[$name]}/api/v1/groups/default/timers/demo-$n" \
        -H 'content-type: application/json' \
        -d "{\"executeAt\": \"$(rfc3339 "$(due_ms "$n")")\", \"callbackUrl\": \"http://127.0.0.1:$receiver/\"}")"
    [ "$status" = 201 ] || fail "PUT demo-$n answered $status: $(cat "$dir/answer")"
    created=$((created + 1))
done
say "$created timers created and acknowledged, due from $(rfc3339 "$(due_ms 1)") on, one every $EVERY_MS ms"

declare -A first_late=()
repeated=0
exec 5<"$dir/callbacks"
# Reads what the receiver has written since the last time. A negative lateness is an early callback.
show_new() {
    local line n late
    while IFS= read -r -u 5 line; do
        n="$(sed -n 's/.*"id":"demo-\([0-9]*\)".*/\1/p' <<<"$line")"
        late="$(sed -n 's/.*"latenessMs":\(-\{0,1\}[0-9]*\).*/\1/p' <<<"$line")"
        if [ -z "$n" ] || [ -z "$late" ]; then continue; fi
        if [ -n "${first_late[$n]:-}" ]; then
            repeated=$((repeated + 1))
            say "  demo-$n again, $late ms after it was due"
        else
            first_late[$n]=$late
            say "  demo-$n arrived, $late ms after it was due"
        fi
    done
}

# The name of the node that leads the most shards.
busiest() {
    local view id
    view="$(curl -fsS -m 5 "http://127.0.0.1:${http[n1]}/api/v1/cluster")"
    id="$(grep -oE '"leader": ?[0-9]+' <<<"$view" | grep -oE '[0-9]+' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')"
    [ -n "$id" ] || fail "no shard has a leader: $view"
    grep -oE "\"id\": ?$id, ?\"name\": ?\"[^\"]+\"" <<<"$view" | head -n1 | sed 's/.*"name": \{0,1\}"//; s/"$//'
}

killed=""
while [ "${#first_late[@]}" -lt "$created" ]; do
    now_ms="$(date +%s%3N)"
    if [ -z "$killed" ] && [ "$now_ms" -ge $((start_ms + KILL_AFTER_S * 1000)) ]; then
        killed="$(busiest)"
        kill -9 "${pid[$killed]}"
        wait "${pid[$killed]}" 2>/dev/null || true
        unset "pid[$killed]"
        say "kill -9 $killed, which led the most shards"
    fi
    [ "$now_ms" -lt $(($(due_ms $TIMERS) + WAIT_MAX_S * 1000)) ] || break
    show_new
    sleep 0.1
done
# Repetitions of what was on its way at the kill would come within an election.
settle=$((SECONDS + 3))
while [ "$SECONDS" -lt "$settle" ]; do show_new && sleep 0.1; done

sorted="$(printf '%s\n' "${first_late[@]}" | sort -n)"
p50="$(sed -n "$(((${#first_late[@]} + 1) / 2))p" <<<"$sorted")"
early="$(awk '$1 < 0' <<<"$sorted" | wc -l)"
cat <<TEXT

created       $created
delivered     ${#first_late[@]}
repeated      $repeated
early         $early
lateness      p50 $p50 ms, max $(tail -n1 <<<"$sorted") ms
killed        ${killed:-nobody}
TEXT
[ "${#first_late[@]}" = "$created" ] || fail "$((created - ${#first_late[@]})) timers did not arrive"
[ "$early" = 0 ] || fail "$early timers arrived early"
[ -n "$killed" ] || fail "the kill did not happen"
