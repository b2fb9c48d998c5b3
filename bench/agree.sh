#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Does `concur load` measure what others measure?
#
# Throughput against wrk, in alternating rounds, 64 connections and one thread each, server and client on a core each: on
# keep-alive connections and with one for each request, for `/` and for a request of more work. A client that is busy all
# the time measures itself, so what is judged are the cases where neither is; the others are shown.
#
# Percentiles at a constant rate against arithmetic: a loop that stands still for S of T seconds makes the slowest p % of
# all requests wait at least S - p T.
#
#   bench/agree.sh [--build DIR] [--engines A,B] [--rounds N] [--seconds S]
#
# Takes about two minutes. Exit status: 0 within 10 %, 1 could not run, 3 not within 10 %.
set -u -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=bench/load.sh
source "$root/bench/load.sh"

engines=(event thread)
rounds=5
busy_max=95
seconds=2
given_build=""
while (($#)); do
    (($# >= 2)) || die "$1 needs a value"
    case $1 in
    --engines) IFS=, read -r -a engines <<<"$2" ;;
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    --build) given_build=$2 ;;
    *) die "no flag $1" ;;
    esac
    shift 2
done

# The number of that name in the total of a result.
number() {
    grep -o "\"$1\":[0-9.]*" <<<"$2" | head -n 1 | cut -d: -f2
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# Both print requests per second and how busy the client was, in percent.

# shellcheck disable=SC2317 # check_throughput calls both by name
# Without a script: Lua would cost wrk a fifth.
by_wrk() {
    local flags=() busy
    [[ $1 != close ]] || flags=(-H "Connection: close")
    busy=$(TIMEFORMAT='%R %U %S'; { time taskset -c "$client_core" wrk -t 1 -c 64 -d "${seconds}s" "${flags[@]}" "$url" \
        >"$work/wrk.out" 2>/dev/null; } 2>&1 | awk '{ printf "%.0f", ($2 + $3) / $1 * 100 }')
    sed -n "s/^Requests\/sec: *\(.*\)/\1 $busy/p" "$work/wrk.out" | grep . || die "wrk failed"
}

# shellcheck disable=SC2317
by_us() {
    local out flags=()
    [[ $1 != close ]] || flags=(--close)
    out=$(taskset -c "$client_core" "$concur" load "$url" -c 64 -d "$seconds" -w 0.2 --json "${flags[@]}") ||
        die "concur load failed: $out"
    printf '%s %s\n' "$(number good_per_second "$out")" "$(awk -v b="$(number busiest "$out")" 'BEGIN { printf "%.0f", b * 100 }')"
}

# column N FILE: the median of a column.
column() {
    cut -d' ' -f"$1" "$2" | median
}

check_throughput() {
    local engine=$1 kind=$2 path=$3 round first second limits=() name
    : >"$work/wrk.all"
    : >"$work/us.all"
    server_start one "$engine" ka64 taskset -c "$server_core"
    url=http://127.0.0.1:${server_port[one]}$path
    for ((round = 0; round < rounds; round++)); do
        progress "$engine, $kind, $path, round $((round + 1)) of $rounds"
        first=wrk second=us
        ((round % 2 == 0)) || { first=us second=wrk; }
        "by_$first" "$kind" >>"$work/$first.all"
        "by_$second" "$kind" >>"$work/$second.all"
    done
    progress ""
    server_stop one
    for name in wrk us; do
        (($(column 2 "$work/$name.all" | cut -d. -f1) < busy_max)) || limits+=("$name")
    done
    judge "$engine, $kind, $path, per second" "$(column 1 "$work/us.all")" "$(column 1 "$work/wrk.all")" wrk "${limits[*]}"
    printf '    rounds: wrk %s; concur load %s; busy %s %% and %s %%\n' "$(cut -d' ' -f1 "$work/wrk.all" | paste -sd' ')" \
        "$(cut -d' ' -f1 "$work/us.all" | paste -sd' ')" "$(column 2 "$work/wrk.all")" "$(column 2 "$work/us.all")"
}

# A blocking handler on the event engine is the stall; how long it was, its own client says.
check_stall() {
    local out stall percent client
    server_start one event ka64 taskset -c "$server_core"
    url=http://127.0.0.1:${server_port[one]}/
    taskset -c "$client_core" "$concur" load "$url" -c 20 -R 1000 -d 5 -w 0.5 --json >"$work/stall.json" &
    client=$!
    sleep 2 # well within the measured time
    stall=$(curl -s -o /dev/null -w '%{time_total}' "${url}stall/1000")
    wait "$client" || die "not every answer was good"
    server_stop one
    out=$(grep -o '"latency_ms":{[^}]*}' "$work/stall.json" | head -n 1)
    for percent in 1 5 10; do
        judge "stall of $stall s in 5 s, $((100 - percent)) %, ms" "$(number $((100 - percent)) "$out")" \
            "$(awk -v s="$stall" -v p="$percent" 'BEGIN { print (s - p / 100 * 5) * 1000 }')" arithmetic ""
    done
}

# judge TITLE OURS THEIRS WHO LIMITS: LIMITS names clients that were busy all the time.
judge() {
    awk -v title="$1" -v a="$2" -v b="$3" -v who="$4" -v limits="$5" 'BEGIN {
        ratio = a / b
        far = ratio < 0.9 || ratio > 1.1
        word = limits != "" ? "not judged, a client was the limit: " limits : far ? "DOES NOT AGREE" : "agrees"
        printf "%-42s concur load %.6g, %s %.6g, ratio %.3f: %s\n", title, a, who, b, ratio, word
        exit limits == "" && far
    }' || verdict=3
}

verdict=0
load_start
load_build "$given_build"
concur=$build/tools/concur
[[ -x $concur && -n $demo ]] || die "no concur or no concur-demo in $build"
read -r server_core client_core < <(taskset -pc $$ | sed 's/.*: //; s/-/ /; s/,/ /g')
[[ -n ${client_core:-} ]] || client_core=$server_core
for engine in "${engines[@]}"; do
    for path in / /cpu/20000; do
        check_throughput "$engine" keep-alive "$path"
        check_throughput "$engine" close "$path"
    done
done
check_stall
exit $verdict
