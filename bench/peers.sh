# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The peers: other servers, set up to answer the same 13 bytes with the model of one of our engines. Sourced by load.sh.
# Logs are off and limits are out of the way; all else is as they come. Apache ends its whole process group, so it has its own.

all_peers=(apache_prefork microhttpd_threads nginx h2o lighttpd haproxy microhttpd_epoll evhttp apache_worker nginx_2
    apache_event microhttpd_pool node)

# Whether it can be run here.
peer_is_there() {
    case $1 in
    nginx*) command -v nginx >/dev/null ;;
    apache_*) command -v apache2 >/dev/null ;;
    microhttpd_*) [[ -x $build/bench/peer_microhttpd ]] ;;
    evhttp) [[ -x $build/bench/peer_evhttp ]] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# peer_engine PEER: the engine of the same model.
peer_engine() {
    case $1 in
    apache_prefork) echo prefork ;;
    microhttpd_threads) echo thread ;;
    apache_worker) echo process-thread ;;
    nginx_2 | apache_event) echo process-event ;;
    microhttpd_pool | node) echo event-pool ;;
    *) echo event ;;
    esac
}

peer_version() {
    case $1 in
    nginx*) nginx -v ;;
    apache_*) apache2 -v ;;
    microhttpd_*) pkg-config --modversion libmicrohttpd ;;
    evhttp) pkg-config --modversion libevent ;;
    lighttpd) lighttpd -v ;;
    haproxy) haproxy -v ;;
    *) "$1" --version ;;
    esac 2>&1 | grep -o -m 1 '[0-9]\+\(\.[0-9]\+\)\+' | head -n 1
}

# A port of the loopback that nobody listens on. Servers that print none are told theirs.
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

nginx_conf() {
    cat <<END
daemon off;
worker_processes $3;
pid $1/pid;
error_log stderr crit;
events { worker_connections 15000; }
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 60s;
    server {
        listen 127.0.0.1:$2;
        location / { default_type text/plain; return 200 "Hello, World!"; }
    }
}
END
}

apache_conf() {
    local modules=/usr/lib/apache2/modules module
    cat <<END
ServerRoot $1
PidFile $1/pid
ServerName localhost
Listen 127.0.0.1:$2
ErrorLog $1/error.log
LogLevel crit
DocumentRoot $1/www
DirectoryIndex index.txt
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
<Directory $1/www>
    Require all granted
</Directory>
LoadModule mpm_$3_module $modules/mod_mpm_$3.so
END
    for module in authz_core dir mime; do
        echo "LoadModule ${module}_module $modules/mod_$module.so"
    done
    echo "TypesConfig /etc/mime.types"
    [[ $(id -u) != 0 ]] || printf 'User www-data\nGroup www-data\n'
    case $3 in
    prefork) printf 'StartServers 72\nMinSpareServers 2\nMaxSpareServers 96\nMaxRequestWorkers 96\n' ;;
    worker | event) printf 'StartServers 2\nThreadsPerChild 32\nMaxRequestWorkers 64\n' ;;
    esac
}

h2o_conf() {
    cat <<END
num-threads: 1
pid-file: $1/pid
error-log: /dev/null
http1-request-timeout: 60
$([[ $(id -u) != 0 ]] || echo "user: root")
hosts:
  default:
    listen:
      host: 127.0.0.1
      port: $2
    paths:
      "/":
        file.file: $1/www/index.txt
END
}

lighttpd_conf() {
    cat <<END
server.document-root = "$1/www"
server.port = $2
server.bind = "127.0.0.1"
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 60
server.max-connections = 15000
server.max-fds = 18000
index-file.names = ( "index.txt" )
mimetype.assign = ( ".txt" => "text/plain" )
END
}

haproxy_conf() {
    cat <<END
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    timeout client 60s
    timeout connect 60s
    timeout server 60s
    timeout http-keep-alive 60s
frontend hello
    bind 127.0.0.1:$2
    http-request return status 200 content-type text/plain string "Hello, World!"
END
}

# peer_command PEER DIR: sets `cmd`, and `peer_port` where it prints none.
peer_command() {
    local dir=$2 conf=$2/conf
    peer_port=""
    mkdir -p "$dir/www"
    printf 'Hello, World!' >"$dir/www/index.txt"
    chmod -R a+rX "$work"
    case $1 in
    node) cmd=(node "$root/bench/peers/peer_node.js") && return ;;
    evhttp) cmd=("$build/bench/peer_evhttp") && return ;;
    microhttpd_*) cmd=("$build/bench/peer_microhttpd" "${1#*_}") && return ;;
    esac
    peer_port=$(free_port)
    case $1 in
    nginx) nginx_conf "$dir" "$peer_port" 1 >"$conf" ;;
    nginx_2) nginx_conf "$dir" "$peer_port" 2 >"$conf" ;;
    apache_*) apache_conf "$dir" "$peer_port" "${1#*_}" >"$conf" ;;
    *) "$1_conf" "$dir" "$peer_port" >"$conf" ;;
    esac
    case $1 in
    nginx*) cmd=(nginx -e stderr -p "$dir" -c "$conf") ;;
    apache_*) cmd=(setsid apache2 -D FOREGROUND -f "$conf") ;;
    h2o) cmd=(h2o -c "$conf") ;;
    lighttpd) cmd=(lighttpd -D -f "$conf") ;;
    haproxy) cmd=(haproxy -f "$conf") ;;
    esac
}

# The peer that was told its port listens there.
peer_listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
