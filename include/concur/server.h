/* SPDX-License-Identifier: MIT
 *
 * The server: set-up, options, life.
 *
 *     new -> listen, route, set, override, log, hook -> run            -> free
 *                                                    -> start -> wait  -> free
 *
 * Errors of the set-up stick: the failing call returns its error, run, start and check return the first of them, and
 * concur_server_error() has them all. A program may therefore ignore what the set-up functions return. A NULL server is
 * accepted everywhere: functions that return int answer CONCUR_E_INVAL. Two servers in one process do not know each
 * other.
 */
#ifndef CONCUR_SERVER_H
#define CONCUR_SERVER_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a server that nobody serves yet.
 *
 * engine   one of CONCUR_ENGINE_*: the code layer's value of the option `engine`. An unknown number sticks as
 *          CONCUR_E_INVAL
 * config   path of a configuration file, read and checked at once, or NULL; an error in it sticks as CONCUR_E_OPTION,
 *          what this version does not have (TLS) as CONCUR_E_UNSUPPORTED
 * returns  the server, owned by the caller until concur_server_free(); NULL: out of memory
 * thread   any. Inside a handler: yes, though never the same server that the handler belongs to
 * blocks   for as long as reading the file takes
 * since    0.1 */
CONCUR_API concur_server *concur_server_new(int engine, const char *config);

/* Adds a handler for requests whose method and path match a pattern (RFC 9110 §9, §15.5.5, §15.5.6).
 *
 * Segments are literal text, "{name}" (one segment, not empty) or, as the last one, "*name" (the rest of the path
 * without its leading slash; may be empty). Literal text is compared with the percent-decoded, normalised path,
 * case-sensitively, and so are methods (RFC 9110 §9.1). Of several routes that match, the most literal wins, segment by segment from the left: literal,
 * parameter, rest; among equals the one that was added first. A handler that returns CONCUR_DECLINE hands over to the
 * next.
 *
 * A route for GET also answers HEAD. A path that exists with other methods only is answered with 405 and Allow; OPTIONS
 * without a route of its own with 204 and Allow.
 *
 * What is probably meant otherwise is accepted, and a line of the log and of CONCUR_TEXT_NOTES: a method "get"; a segment
 * ":id" or "<id>", which is literal text; a route whose requests another one takes before it.
 *
 * pattern  "GET /hello/{name}", "GET,POST /form", "/static/" followed by "*rest"; without a method: any. Copied
 * flags    CONCUR_ROUTE_* bits or 0
 * handler  called once for each request, at its home
 * arg      handed to the handler as it is; the caller's, must live until the server is freed
 * returns  CONCUR_OK; CONCUR_E_INVAL: a bad pattern, unknown flags, no handler; CONCUR_E_NOMEM; CONCUR_E_STATE: the
 *          server has been run or started. All but the last stick
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_route(concur_server *server, const char *pattern, unsigned flags,
                                   concur_handler_fn handler, void *arg);

/* Sets an option in the code layer: the program's own default. Of the layers, later wins:
 * default < code < configuration file < environment (CONCUR_<NAME>) < override.
 *
 * section  NULL: the server; "route PATTERN": one route, PATTERN as it was given to concur_server_route()
 * name     as in the configuration file, such as "threads_max"
 * value    as in the configuration file, such as "64", "64k" or "15s"; a time other than 0 has a unit. Copied
 * returns  CONCUR_OK, also for an option that the engine ignores (CONCUR_TEXT_NOTES tells); CONCUR_E_OPTION: unknown
 *          section or name, malformed or out of bounds; CONCUR_E_UNSUPPORTED: a section "tls NAME" or "upstream NAME",
 *          or an address with tls=NAME, which this version does not have; CONCUR_E_INVAL: name or value is NULL;
 *          CONCUR_E_NOMEM; CONCUR_E_STATE: the server has been run or started. All but the last stick
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_set(concur_server *server, const char *section, const char *name, const char *value);

/* Sets an option in the last layer, which nothing overrules: what the flags of a command line use.
 *
 * section, name, value, returns, thread, blocks: as with concur_server_set()
 * since    0.1 */
CONCUR_API int concur_server_override(concur_server *server, const char *section, const char *name, const char *value);

/* Adds an address to listen on, in the code layer of the option `listen`. If a higher layer names addresses too, only
 * those of the highest layer count: CONCUR_LISTEN replaces what the program said.
 *
 * address  "127.0.0.1:8080", "[::1]:8080"; port 0: a free one, which concur_server_address() tells. Copied
 * returns  CONCUR_OK; CONCUR_E_OPTION: malformed, or more addresses than allowed; CONCUR_E_UNSUPPORTED: tls=NAME;
 *          CONCUR_E_INVAL: address is NULL; CONCUR_E_NOMEM; CONCUR_E_STATE: the server has been run or started. All but
 *          the last stick. Binding comes later: its errors are those of run and start
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_listen(concur_server *server, const char *address);

/* Sends the log to a function. Without one, run writes warnings and errors to stderr, from each process, and start
 * writes nothing. Both first tell what CONCUR_TEXT_NOTES has. Without a master the function is called where something
 * happens, on any thread of the server, several at once. With a master it is called in the host's process: during run, or
 * in concur_server_dispatch() and concur_server_wait().
 *
 * Nothing of the library waits for its log: a line for which stderr, or the host's process, has no room is lost, and the
 * next one that is written tells how many were. Nor does a stderr that nobody reads, or a full disk, end the process: what
 * the function writes raises neither SIGPIPE nor SIGXFSZ.
 *
 * log      see concur_log_fn; NULL: as if never called
 * arg      handed to log as it is; the caller's, must live until the server is freed
 * returns  CONCUR_OK; CONCUR_E_STATE: the server has been run or started
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_log(concur_server *server, concur_log_fn log, void *arg);

/* Calls a function at a moment of the server's life. Any number of them for each moment: in the order in which they
 * were added, those of CONCUR_HOOK_WORKER_EXIT in the reverse order.
 *
 *   CONCUR_HOOK_BEFORE_FORK   Before each fork, in the process that forks: the master, or for its own fork the host. A
 *                             place to flush what the child would inherit. A negative value forbids the fork: nothing
 *                             is forked, and the hooks after it are not called. Never on an engine of one process
 *   CONCUR_HOOK_WORKER_START  Once in every process that runs handlers, on the thread that is going to serve, after the
 *                             fork and before the first request; also on the engines of one process, once. A negative
 *                             value: this worker cannot start, the hooks after it are not called, and none of
 *                             CONCUR_HOOK_WORKER_EXIT is: a worker that never served has no end. On an engine of one
 *                             process, run and start then return that value
 *   CONCUR_HOOK_WORKER_EXIT   In the same processes, on the same thread, after the last request, thread and value of
 *                             concur_server_local() has ended. Not in a worker that was killed or has crashed, nor
 *                             in the master, a front or a host. Each is
 *                             called, whatever the one before has returned
 *   CONCUR_HOOK_EVENT         In the host's process: during concur_server_run(), concur_server_start(), or after
 *                             start in concur_server_dispatch() and concur_server_wait(). detail says what happened, such as
 *                             "worker 3 (pid 123) ended: signal 9" or "given up: answering 503". Its
 *                             wording is for people and may change, but for "ready", which comes once, when connections
 *                             are accepted. What it returns is not looked at. It must not block
 *
 * For all but CONCUR_HOOK_EVENT detail may be "".
 *
 * what     one of CONCUR_HOOK_*
 * hook     see concur_hook_fn; must not call concur_server_wait(), concur_server_run() or concur_server_free() for this
 *          server, which refuse it
 * arg      handed to hook as it is; the caller's, must live until the server is freed, in each process that calls hook
 * returns  CONCUR_OK; CONCUR_E_INVAL: what is none of them, or no hook; CONCUR_E_NOMEM; CONCUR_E_STATE: the server has
 *          been run or started. All but the last stick
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_hook(concur_server *server, int what, concur_hook_fn hook, void *arg);

/* Says what the handlers need of an engine, whichever is named in the end. An engine that cannot give it is refused by
 * check, run and start with CONCUR_E_UNSUPPORTED and a sentence, so that a program that is wrong on it does not serve.
 *
 * needs    CONCUR_NEED_* bits, added to those of earlier calls. CONCUR_NEED_SHARED_MEMORY: handlers share variables of
 *          the program, so engines with several processes are refused; programs that use <concur/shared.h> for that
 *          need no such thing
 * returns  CONCUR_OK; CONCUR_E_INVAL: an unknown bit; CONCUR_E_STATE: the server has been run or started. The first
 *          sticks
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_require(concur_server *server, int needs);

/* Checks all that run would check before it binds: options of every layer, routes, engine. Binds and starts nothing, so
 * it serves a --check flag; run or start may follow.
 *
 * returns  CONCUR_OK; else the first error of the set-up; CONCUR_E_OPTION: a value of the environment or values that do
 *          not fit together; CONCUR_E_LISTEN: no address to listen on; CONCUR_E_UNSUPPORTED: this build lacks the
 *          engine, the engine cannot give what concur_server_require() asked for, or the environment asks for TLS;
 *          CONCUR_E_NOMEM; CONCUR_E_STATE: the server has been run or started. concur_server_error() has all that it
 *          found
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_check(concur_server *server);

/* Serves until stopped. Owns the process meanwhile: SIGTERM and SIGINT stop gracefully, within the option
 * `stop_timeout`; a second one of them stops at once. They are unblocked on the calling thread. SIGPIPE and SIGXFSZ are
 * never touched, and no write of the library ends the process by them. What libevent has to say goes to the log. What
 * was set before is restored, but for functions that the program gave to libevent for its log and its fatal errors:
 * libevent does not tell them, and has none afterwards.
 *
 * On the engines with several processes, and with the option `master`, the calling process becomes the master and runs
 * no handler: those run in its children. SIGHUP then reloads, as concur_server_reload() does, unless the program has a
 * handler of its own for it, or the option `sighup` says to leave it to the program. Without a master it is left alone.
 *
 * returns  CONCUR_OK: stopped and everything freed but the server itself; the errors of concur_server_check();
 *          CONCUR_E_LISTEN: an address cannot be bound; CONCUR_E_SYS: a descriptor, a thread or the like cannot be
 *          had, or a worker does not come up, or the
 *          process can serve nobody any more (docs/engines.md); CONCUR_E_THREADS: the engine forks, and the process has other threads
 *          (option fork_with_threads); CONCUR_E_BUSY: stopped, but a handler or an offload still ran: its thread could
 *          not be joined, or its process was killed; what a hook said; CONCUR_E_STATE: has been run or started before.
 *          concur_server_error() has the details
 * thread   the one that did the set-up; one run in a process at a time (else CONCUR_E_STATE). Never in a handler:
 *          CONCUR_E_HOME
 * blocks   until the server has stopped
 * since    0.1 */
CONCUR_API int concur_server_run(concur_server *server);

/* Starts to serve in the background and touches no signal: on threads of the library, or, on the engines with several
 * processes and with the option `master`, in a master process and its children. These inherit only descriptors 0, 1, 2
 * and those of the library, and end with the host's process; the host should wait for the master with
 * concur_server_wait() alone, and call concur_server_dispatch() meanwhile if it wants its log and its events.
 *
 * returns  CONCUR_OK: connections are accepted from now on, or a stop was asked for meanwhile; else as concur_server_run(), with nothing left running
 * thread   the one that did the set-up; never in a handler of this server
 * blocks   until it answers or has failed: creation of threads or processes, whose hooks may take up to the option
 *          start_timeout; no network traffic
 * since    0.1 */
CONCUR_API int concur_server_start(concur_server *server);

/* Gives a descriptor that is readable when concur_server_dispatch() has something to do. Fits any poll loop.
 *
 * returns  the descriptor, the library's, valid until the server is freed; CONCUR_E_STATE: was not started;
 *          CONCUR_E_FORKED
 * thread   any, after start has returned
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_fd(concur_server *server);

/* Calls the functions of the host that other processes of the server have something for: the log's, and hooks of
 * CONCUR_HOOK_EVENT. Without a master these are called where things happen, but the end of the server is told here, too.
 *
 * returns  CONCUR_OK: nothing more for now; CONCUR_E_GONE: the server has ended, concur_server_wait() tells how;
 *          CONCUR_E_STATE: was not started; CONCUR_E_FORKED
 * thread   any but those of the library, one at a time and not while another one waits
 * blocks   no, but for what the host's functions do
 * since    0.1 */
CONCUR_API int concur_server_dispatch(concur_server *server);

/* Asks the server to stop, all of its processes, and returns at once. No more connections are accepted; requests in
 * flight may finish; at the deadline the rest gets on_cancel with CONCUR_E_STOPPING and replies under way are aborted.
 * A later call can only bring the deadline forward.
 *
 * deadline_ms  milliseconds from now, any value; 0: cancel at once
 * returns      CONCUR_OK: it will stop, or has stopped already; CONCUR_E_STATE: was never run or started;
 *              CONCUR_E_FORKED
 * thread       any, also in a handler or a signal handler (async-signal-safe, keeps errno)
 * blocks       no; concur_server_wait() waits
 * since        0.1 */
CONCUR_API int concur_server_stop(concur_server *server, unsigned deadline_ms);

/* Asks for a new generation of processes with the configuration file read again. The new one accepts before the old one
 * stops to. Every option may change but `listen`, also `engine`. Needs a master: an engine with several processes, or
 * the option `master`. What became of it is told by CONCUR_HOOK_EVENT; a configuration that is refused changes nothing.
 *
 * returns  CONCUR_OK: asked for; CONCUR_E_STATE: there is no master, or the server is not running;
 *          CONCUR_E_FORKED
 * thread   any, also in a handler or in a signal handler (async-signal-safe)
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_reload(concur_server *server);

/* Waits until a server that was started has stopped, by concur_server_stop() from elsewhere.
 *
 * returns  CONCUR_OK: stopped, every thread of the library joined, every on_end has run; CONCUR_E_BUSY: the stop's
 *          deadline is over and a handler or an offload still runs (no thread is ever killed): call again, and do not
 *          free what that code uses. With a master it is the end: the process that held on was killed; CONCUR_E_SYS:
 *          the master or one of its processes has ended badly; CONCUR_E_STATE: was not started; CONCUR_E_HOME: called
 *          in a callback of this server; CONCUR_E_FORKED
 * thread   any but those of the library, one at a time
 * blocks   without bound until stop is called, then until a second after the stop's deadline, or after the call if
 *          that is later; with a master until that has ended. It calls what concur_server_dispatch() would
 * since    0.1 */
CONCUR_API int concur_server_wait(concur_server *server);

/* Frees a server and everything it owns. A server that still runs is stopped with deadline 0 and waited for first. If
 * code of the program still runs after that (CONCUR_E_BUSY of wait), the server's memory is given up, not freed.
 *
 * server   NULL is fine; invalid afterwards. In a process that was forked from the one that ran it the call has no effect
 * thread   the one that did the set-up, or any if no other one uses the server; never in a callback of this server,
 *          where the call has no effect but a line in the log
 * blocks   a running server: as concur_server_wait(); else no
 * since    0.1 */
CONCUR_API void concur_server_free(concur_server *server);

/* Tells an address that the server listens on, with port 0 resolved.
 *
 * i        0 for the first, in the order of the option `listen`
 * out      gets "127.0.0.1:8080" or "[::1]:8080" with a NUL
 * n        room at out in bytes; 64 is enough for every IP address
 * returns  CONCUR_OK; CONCUR_E_INVAL: no address number i, or out is NULL; CONCUR_E_LIMIT: out is too small, nothing is
 *          written; CONCUR_E_STATE: not running; CONCUR_E_FORKED
 * thread   any, after start has returned or in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_address(concur_server *server, unsigned i, char *out, size_t n);

/* Writes the server's state as one JSON object: engine, process, connections, requests, threads, queues. Of several
 * processes it is their sum, ended ones included, up to 100 ms old and more while one computes; pid is the master's, and
 * "processes" lists each with its kind, number, pid, state, milliseconds in it, connections and requests. engine is that
 * of the generation that serves; a worker tells its own. Members may be added in later versions.
 *
 * json     gets the text with a NUL; may be NULL if *len is 0
 * len      in: room at json in bytes; out: length of the text without the NUL, whether it fitted or not
 * returns  CONCUR_OK; CONCUR_E_LIMIT: too little room, json is "" if there is any; CONCUR_E_INVAL: len is NULL;
 *          CONCUR_E_NOMEM; CONCUR_E_STATE: not running; CONCUR_E_FORKED
 * thread   any, also in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_status(concur_server *server, char *json, size_t *len);

/* Tells the engine that serves, or would if run were called now: after configuration file, environment and overrides.
 * After a reload it is that of the generation that serves; a worker tells its own.
 *
 * returns  one of CONCUR_ENGINE_* but CONCUR_ENGINE_DEFAULT; CONCUR_E_INVAL: no server; CONCUR_E_NOMEM
 * thread   set-up; any after start has returned, also in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_engine(const concur_server *server);

/* Tells which of the server's processes this is.
 *
 * returns  the worker's number from 0; a successor has another one than the worker it replaces, and `workers` may be
 *          reached for that; 0 without a master. CONCUR_E_STATE: in
 *          the master or in the host of several processes, or before it runs; CONCUR_E_INVAL: no server
 * thread   any, also in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_worker(const concur_server *server);

/* Tells which state of the configuration this process was made from: a reload makes a new one.
 *
 * returns  1 at the start, and one more for each generation; CONCUR_E_INVAL: no server
 * thread   any, also in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_generation(const concur_server *server);

/* Gives every error of the set-up, of check, and of run or start, one a line. A value's line names its origin and what
 * is allowed: `workers=9999 (server.conf:12): at most 1024`.
 *
 * returns  text, "" if there is no error, never NULL. Owned by the server; valid until the next call on it
 * thread   as set-up; also after run or start has returned, from the same thread
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_server_error(const concur_server *server);

/* Writes a text about the options: what --help and --dump of a program print.
 *
 * what     CONCUR_TEXT_HELP, CONCUR_TEXT_DUMP or CONCUR_TEXT_NOTES
 * out      gets the text with a NUL, lines ending in newlines; may be NULL if *len is 0
 * len      in: room at out in bytes; out: length of the text without the NUL, whether it fitted or not
 * returns  CONCUR_OK; CONCUR_E_LIMIT: too little room, out is "" if there is any; CONCUR_E_INVAL: unknown text, or len
 *          is NULL; CONCUR_E_NOMEM
 * thread   set-up
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_server_text(concur_server *server, int what, char *out, size_t *len);

/* Tells an engine's name as the option `engine` takes it.
 *
 * engine   one of CONCUR_ENGINE_*
 * returns  static text: "default", "prefork", "thread", "event", "process-thread", "process-event", "event-pool"; NULL
 *          for any other number. A name says nothing about whether this build has the engine
 * thread   any, also in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API const char *concur_engine_name(int engine);

/* Finds the engine of a name: the reverse of concur_engine_name(), in lower case only.
 *
 * returns  one of CONCUR_ENGINE_*; CONCUR_E_INVAL: no such name, or NULL
 * thread   any, also in a handler
 * blocks   no
 * since    0.1 */
CONCUR_API int concur_engine_parse(const char *name);

#ifdef __cplusplus
}
#endif

#endif
