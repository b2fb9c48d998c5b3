# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What scripts/bench is made of: building, servers that are started, found and ended by their process id, runs of wrk,
# and the processor time of a process tree. Sourced by bash; expects `root` to be the source directory.

: "${root:?}"
# shellcheck source=bench/peers.sh
source "$root/bench/peers.sh"
# Engines that a demo may have, in the order in which they are shown.
all_engines=(prefork thread event process-thread process-event event-pool)
declare -A server_pid=() server_port=() server_launcher=()
work=""
build=""
demo=""

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# One line that is written over where somebody watches, and is left out where nobody does.
progress() {
    [[ ! -t 2 ]] || printf '\r\033[K%s' "$*" >&2
}

# Ends what was started and nothing else; also after Ctrl-C.
load_cleanup() {
    local name
    for name in "${!server_launcher[@]}"; do
        server_stop "$name"
    done
    [[ -z $work ]] || rm -rf "$work"
}

load_start() {
    work=$(mktemp -d)
    trap load_cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    ulimit -n "$(ulimit -Hn)"
}

load_install() {
    "$root/scripts/install_deps" build compare >&2 || die "packages are missing"
}

# Builds the release, or takes the build directory given.
load_build() {
    build=$1
    if [[ -z $build ]]; then
        build=$root/build/release
        say "building the release in $build"
        (cd "$root" && cmake --preset release && cmake --build --preset release) >"$work/build.log" 2>&1 || {
            tail -n 40 "$work/build.log" >&2
            die "the build failed"
        }
    fi
    demo=$(find "$build" -name concur-demo -type f -perm -u+x | head -n 1)
}

# The engines that this build has.
load_engines() {
    local engine
    [[ -n $demo ]] || return 0
    for engine in "${all_engines[@]}"; do
        if "$demo" --engine "$engine" --check >/dev/null 2>&1; then
            printf '%s\n' "$engine"
        fi
    done
}

# engine_flags ENGINE WORKLOAD: sets `flags`, which let an engine or a floor serve 64 connections at once. Two workers
# stand for several: they share one core, as every server does here, and more would share it no better.
engine_flags() {
    case $1 in
    floor_threads_pre) flags=(--threads 64) ;;
    floor_queue) flags=(--block 0) ;;
    prefork) flags=(--set workers_start=72 --set spare_min=2 --set spare_max=72 --set workers_max=96) ;;
    process-thread) flags=(--workers 2 --threads 32) ;;
    process-event) flags=(--workers 2) ;;
    *) flags=() ;;
    esac
    case $1/$2 in
    floor_queue/block64) flags=(--block 20) ;;
    thread/block64) flags+=(--threads 64) ;;
    event-pool/block64) flags+=(--pool 64) ;;
    event-pool/offload64) flags+=(--pool 4) ;;
    esac
}

# raw_form ENGINE WORKLOAD: prints the floor of the same model, - for a floor.
raw_form() {
    case $1/$2 in
    floor_* | peer_*) echo - ;;
    */block64) echo floor_queue ;;
    event-pool/offload64) echo floor_pool ;;
    prefork/*) echo floor_prefork ;;
    thread/*) echo floor_threads_pre ;;
    process-thread/close64 | process-thread/idle) echo floor_front ;;
    process-thread/*) echo floor_procs_threads ;;
    process-event/*) echo floor_procs_epoll ;;
    *) echo floor_epoll ;;
    esac
}

# What a peer that was told its port would say, once it listens. strace stays above what it runs; whatever else stands
# before a server becomes it.
peer_line() {
    local pid=$1 port=$2
    peer_listens "$port" || return 1
    [[ $(<"/proc/$pid/comm") != strace ]] || read -r pid _ <"/proc/$pid/task/$pid/children"
    printf 'listening on 127.0.0.1:%s pid=%s\n' "$port" "$pid"
}

# server_try KEY ENGINE WORKLOAD [PREFIX...]: starts the server of an engine, a floor or a peer behind a prefix such as
# `taskset -c 0`, and waits until it listens. KEY names it from then on. 1: it does not listen; server_stop ends it.
server_try() {
    local key=$1 engine=$2 workload=$3 out=$work/server.$1 line="" tries peer_port=""
    local cmd=() flags=()
    shift 3
    engine_flags "$engine" "$workload"
    case $engine in
    floor_threads_pre) cmd=("$build/bench/floor_threads" "${flags[@]}") ;;
    floor_*) cmd=("$build/bench/$engine" "${flags[@]}") ;;
    peer_*) peer_command "${engine#peer_}" "$work/peer.$key" ;;
    *) cmd=("$demo" --engine "$engine" --listen 127.0.0.1:0 "${flags[@]}") ;;
    esac
    : >"$out"
    "$@" "${cmd[@]}" >"$out" 2>"$out.err" &
    server_launcher[$key]=$!
    for ((tries = 0; tries < 600; tries++)); do
        if [[ -n $peer_port ]]; then
            line=$(peer_line "${server_launcher[$key]}" "$peer_port") && break
        else
            line=$(grep -m 1 '^listening on ' "$out") && break
        fi
        kill -0 "${server_launcher[$key]}" 2>/dev/null || break
        sleep 0.05
    done
    if [[ ! $line =~ ^listening\ on\ [^\ ]*:([0-9]+)\ .*pid=([0-9]+) ]]; then
        cat "$out.err" >&2
        say "$engine did not start: $* ${cmd[*]}"
        return 1
    fi
    # shellcheck disable=SC2034 # for the scripts that source this
    server_port[$key]=${BASH_REMATCH[1]}
    server_pid[$key]=${BASH_REMATCH[2]}
}

server_start() {
    server_try "$@" || die "a server is missing"
}

# Asks the server to end, waits for it, and ends it by force only if it does not. Returns 1 in that case.
server_stop() {
    local key=$1 launcher=${server_launcher[$1]:-} pid=${server_pid[$1]:-} tries rc=0
    [[ -n $launcher ]] || return 0
    unset "server_launcher[$key]" "server_pid[$key]" "server_port[$key]"
    kill -TERM "${pid:-$launcher}" 2>/dev/null
    for ((tries = 0; tries < 400; tries++)); do
        kill -0 "$launcher" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$launcher" 2>/dev/null; then
        say "server $key (pid ${pid:-$launcher}) does not end on SIGTERM"
        [[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null
        kill -KILL "$launcher" 2>/dev/null
        rc=1
    fi
    wait "$launcher" 2>/dev/null
    return $rc
}

# tree_pids PID: the process and its descendants.
tree_pids() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
        { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2 }
        END {
            for (pid in parent) {
                for (p = pid; p > 1 && p != root; p = parent[p]) { }
                if (p == root) print pid
            }
        }'
}

# tree_cpu_us PID: user and system time of the process, its threads, its descendants and those already reaped.
# bench/tree has it from the scheduler's clocks; /proc, for builds without bench/, in ticks for each process.
tree_cpu_us() {
    local line
    if [[ -x $build/bench/tree ]]; then
        line=$("$build/bench/tree" "$1") || die "process $1 has ended"
        value cpu_us "$line"
        return
    fi
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" -v hz="$(getconf CLK_TCK)" '
        { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2; ticks[pid] = $12 + $13 + $14 + $15 }
        END {
            for (pid in parent) {
                for (p = pid; p > 1 && p != root; p = parent[p]) { }
                if (p == root) sum += ticks[pid]
            }
            printf "%.0f\n", sum * 1e6 / hz
        }'
}

# wrk_run SCRIPT URL CONNECTIONS SECONDS [PREFIX...]: prints the line of bench/wrk/report.lua without its first word.
# wrk takes whole seconds only, so it is interrupted instead, at which it reports as usual.
wrk_run() {
    local script=$1 url=$2 connections=$3 seconds=$4
    shift 4
    timeout --foreground -s INT "$seconds" "$@" wrk -t 1 -c "$connections" -d 3600s --timeout 10s \
        -s "$root/bench/wrk/$script.lua" "$url" >"$work/wrk.out" 2>&1
    sed -n 's/^wrk requests=/requests=/p' "$work/wrk.out" | grep . || {
        cat "$work/wrk.out" >&2
        die "wrk printed no result"
    }
}

# value NAME LINE: one value out of name=value pairs.
value() {
    local rest=" $2"
    [[ $rest == *" $1="* ]] || return 1
    rest=${rest#*" $1="}
    printf '%s\n' "${rest%% *}"
}
