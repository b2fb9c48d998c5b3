/* SPDX-License-Identifier: MIT
 *
 * The server: set-up, options, life.
 *
 *     new -> listen, route, set, log, hook ... -> run            -> free
 *                                              -> start -> wait  -> free
 *
 * Errors of the set-up are kept: concur_server_check(), run and start fail with the first one, and concur_server_error()
 * lists all. So a program may ignore what the set-up functions return. Only CONCUR_E_STATE, and the error for a NULL
 * server, are not kept.
 *
 * Every function accepts a NULL server; those that return int then return CONCUR_E_INVAL. Servers in one process are
 * independent, but only one may be in run.
 */
#ifndef CONCUR_SERVER_H
#define CONCUR_SERVER_H

#include <concur/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- set-up ----
 *
 * For the functions up to concur_server_check(), where nothing else is said:
 *
 *   text     copied
 *   arg      passed to the function as it is; the caller's, must live until the server is freed, in each process that
 *            calls the function
 *   returns  CONCUR_OK
 *            CONCUR_E_INVAL  a bad or missing argument
 *            CONCUR_E_NOMEM
 *            CONCUR_E_STATE  the server has been run or started
 *   thread   set-up
 *   blocks   no
 */

/* Makes a server.
 *
 * engine   CONCUR_ENGINE_*, unless the file or the environment names another one. A number that is none of them is kept
 *          as CONCUR_E_INVAL
 * config   path of a configuration file, which is read and checked now; NULL: none. Errors in it are kept:
 *          CONCUR_E_OPTION, or CONCUR_E_UNSUPPORTED for what this version does not have, such as TLS
 * returns  the server, which the caller owns until concur_server_free(); NULL: out of memory
 * thread   any; with config one at a time in a process
 * blocks   while it reads the file */
CONCUR_API concur_server *concur_server_new(int engine, const char *config);

/* Adds a handler for requests whose method and path match a pattern (RFC 9110 §9, §15.5.5, §15.5.6).
 *
 * A segment of a pattern is literal text, "{name}" for one segment that is not empty, or at the end "*name" for the rest
 * of the path, which may be empty and has no leading slash. Literal text and methods are case-sensitive (RFC 9110 §9.1).
 * The path is compared as concur_request_path() gives it.
 *
 * If several routes match, the first segment in which they differ decides: literal text before {name} before *name.
 * Equal ones are tried in the order in which they were added. The next one is tried when a handler returns CONCUR_DECLINE.
 *
 * A route for GET also answers HEAD. If no route of the path has the method, the library answers 405 with Allow, or 204
 * with Allow to OPTIONS.
 *
 * What is probably a mistake is accepted, with a warning in the log and in CONCUR_TEXT_NOTES: the method "get"; segments
 * ":id" and "<id>", which are literal text; a route that is never reached.
 *
 * pattern  "GET /hello/{name}", "GET,POST /form", "/static/" followed by "*rest"; without a method: any
 * flags    CONCUR_ROUTE_* bits or 0
 * handler  called once for each request that reaches this route, at its home */
CONCUR_API int concur_server_route(concur_server *server, const char *pattern, unsigned flags,
                                   concur_handler_fn handler, void *arg);

/* Adds a function that runs before the handlers of all routes under a prefix: access control, say. It is called once for
 * each request, before the body is read, also if no route matches. Several run in the order in which they were added. On
 * a loop it must not block, even if the handler may.
 *
 * prefix   literal text, such as "/api": the path "/api" itself and all under "/api/", but not "/apis"; "/": every path.
 *          It is compared with the decoded path, as concur_request_path() gives it
 * flags    CONCUR_ROUTES_* bits or 0
 * before   returns
 *          CONCUR_OK       it replied: neither later functions nor the handler run. Or it did not: the request goes on,
 *                          or gets 500 if something is pending
 *          CONCUR_AGAIN    something is pending; it will reply later, or call concur_request_pass()
 *          CONCUR_DECLINE  404, as if there were no route
 *          else            as concur_handler_fn */
CONCUR_API int concur_server_before(concur_server *server, const char *prefix, int flags, concur_handler_fn before,
                                    void *arg);

/* Adds a function that may change the fields of every reply under a prefix, also of replies that the library makes. It
 * runs just before the reply's head is sent, and cannot reply. Several run in the order in which they were added.
 *
 * prefix, flags  as for concur_server_before()
 * after          gets the reply's status. Returns CONCUR_OK, or a negative code: the reply is not sent, and the call that
 *                made it returns that code. An error page of the library is sent even then, and the code is
 *                logged. If there is no memory for a reply, after runs again for the error page */
CONCUR_API int concur_server_after(concur_server *server, const char *prefix, int flags, concur_status_fn after, void *arg);

/* Adds a function that makes error pages in place of the library's: when no route matches, a handler returns a status or
 * an error, a deadline passes, a queue is full. Allow of 405 and Retry-After of 503 are set already. Some replies are made
 * outside of any request and keep the library's page: 400, 408, 414, 431; 503 when no more connections or requests are
 * taken; 502 of process-thread.
 *
 * status   400..599, or CONCUR_PAGE_4XX, _5XX or _ALL. The most specific function is called. Another function for the
 *          same status replaces the first
 * page     replies before it returns, with the status that it gets or another. Returns CONCUR_OK; or CONCUR_DECLINE if it
 *          did not reply: the library's page is sent. After an error that page is sent, too, and the error is logged */
CONCUR_API int concur_server_page(concur_server *server, int status, concur_status_fn page, void *arg);

/* Sets an option (docs/options.md). File and environment may override it. Five layers can have a value, and the last
 * one wins: default, code (this function), configuration file, environment (CONCUR_<NAME>), concur_server_override().
 *
 * section  NULL: the server; "route PATTERN": one route, with PATTERN as given to concur_server_route()
 * name     as in the configuration file, such as "threads_max"
 * value    as in the configuration file, such as "64", "64k" or "15s"; a time other than 0 has a unit
 * returns  as above, and:
 *          CONCUR_OK             also for an option that the engine does not use; CONCUR_TEXT_NOTES lists those
 *          CONCUR_E_OPTION       unknown section or name, or a value that is malformed or out of bounds
 *          CONCUR_E_UNSUPPORTED  not in this version: sections "tls NAME" and "upstream NAME", addresses with tls=NAME */
CONCUR_API int concur_server_set(concur_server *server, const char *section, const char *name, const char *value);

/* As concur_server_set(), but above file and environment: for command-line flags. */
CONCUR_API int concur_server_override(concur_server *server, const char *section, const char *name, const char *value);

/* Adds an address to listen on: a value of the option `listen`. Addresses of a later layer replace those of earlier ones,
 * so CONCUR_LISTEN replaces the program's. Run and start bind them.
 *
 * address  "127.0.0.1:8080", "[::1]:8080", "unix:/path" or "fd:3"; port 0: a free one, see concur_server_address()
 * returns  as above, and:
 *          CONCUR_E_OPTION       malformed, or too many addresses
 *          CONCUR_E_UNSUPPORTED  tls=NAME */
CONCUR_API int concur_server_listen(concur_server *server, const char *address);

/* Sends the log to a function. Without one, run writes warnings and errors to stderr from each process, and start writes
 * nothing. The first lines are those of CONCUR_TEXT_NOTES. Without a master the function is called on any thread of the
 * server, by several at once. With a master it is called in the host: during run, in concur_server_dispatch() and in
 * concur_server_wait().
 *
 * The library never waits for its log. A line for which stderr or the host has no room is lost; the next line says how
 * many were. Writing to stderr raises neither SIGPIPE nor SIGXFSZ.
 *
 * log      see concur_log_fn; NULL: as without one
 * returns  CONCUR_OK; CONCUR_E_STATE */
CONCUR_API int concur_server_log(concur_server *server, concur_log_fn log, void *arg);

/* Calls a function at a moment of the server's life. Each moment may have any number of hooks, which are called in the
 * order in which they were added; those of CONCUR_HOOK_WORKER_EXIT in reverse order.
 *
 *   CONCUR_HOOK_BEFORE_FORK   Before each fork, in the process that forks: the master, or the host that forks the master.
 *                             Flush buffers here that the child must not write again. Never called without a master. A
 *                             negative code: nothing is forked, and later hooks are not called
 *   CONCUR_HOOK_WORKER_START  Once in every process that runs handlers, on every engine: after the fork and before the
 *                             first request, on the thread that will serve. A negative code: this worker does not start,
 *                             and neither later hooks nor those of CONCUR_HOOK_WORKER_EXIT are called; without a master
 *                             run and start return that code
 *   CONCUR_HOOK_WORKER_EXIT   In the same process, on the same thread, after the last request has ended, the threads are
 *                             joined and the values of concur_server_local() freed. Not in a worker that crashed or was
 *                             killed. The returned value is ignored
 *   CONCUR_HOOK_EVENT         In the host: during run or start, in concur_server_dispatch() and in concur_server_wait().
 *                             detail says what happened, such as "worker 3 (pid 123) ended: signal 9". Its wording may
 *                             change, except for "ready", which comes once, when connections are accepted. The hook must
 *                             not block. The returned value is ignored
 *
 * detail is "" for the other moments, unless a later version says more.
 *
 * what     CONCUR_HOOK_*
 * hook     see concur_hook_fn. It must not call concur_server_run(), _wait() or _free() for this server: they refuse */
CONCUR_API int concur_server_hook(concur_server *server, int what, concur_hook_fn hook, void *arg);

/* Says what the handlers need. Check, run and start then refuse an engine that does not have it: CONCUR_E_UNSUPPORTED.
 *
 * needs    CONCUR_NEED_* bits, added to those of earlier calls. CONCUR_NEED_SHARED_MEMORY: handlers share their
 *          variables, so engines with several processes are refused. Not needed for <concur/shared.h>
 * returns  CONCUR_OK; CONCUR_E_INVAL: an unknown bit; CONCUR_E_STATE */
CONCUR_API int concur_server_require(concur_server *server, int needs);

/* Checks what run checks before it binds: options of every layer, routes, engine. It binds and starts nothing: for a
 * program's --check flag. Run or start may follow. concur_server_error() lists everything it found.
 *
 * returns  CONCUR_OK
 *          the first kept error of the set-up
 *          CONCUR_E_OPTION       a value of the environment, or values that do not fit together
 *          CONCUR_E_LISTEN       no address to listen on
 *          CONCUR_E_UNSUPPORTED  this build lacks the engine; the engine cannot give what concur_server_require() asked
 *                                for; or the environment asks for TLS
 *          CONCUR_E_NOMEM
 *          CONCUR_E_STATE        the server has been run or started */
CONCUR_API int concur_server_check(concur_server *server);

/* ---- run, start, stop ----
 *
 * CONCUR_E_FORKED: the program forked this process from the one that ran or started the server.
 */

/* Serves until stopped. Where there is a master, it is the calling process.
 *
 * Signals: SIGTERM and SIGINT are unblocked on the calling thread and stop the server within the option `stop_timeout`; a
 * second one stops it at once. In a master SIGHUP reloads as concur_server_reload() does, unless the program has a handler
 * for it or the option `sighup` says "ignore", and SIGCHLD is handled in addition to the program's own handler. Other
 * signals are not touched; no write of the library raises SIGPIPE or SIGXFSZ. Afterwards all signals are as before.
 *
 * libevent's messages go to the log meanwhile. Functions that the program gave to libevent for messages and fatal errors
 * are gone afterwards, since libevent does not tell which they were.
 *
 * returns  CONCUR_OK         stopped, and everything freed but the server itself
 *          the errors of concur_server_check()
 *          CONCUR_E_LISTEN   an address cannot be bound
 *          CONCUR_E_SYS      no descriptor, thread or the like; a worker does not start; or the process cannot serve any
 *                            more (docs/engines.md)
 *          CONCUR_E_THREADS  the engine forks and the process has other threads (option `fork_with_threads`)
 *          CONCUR_E_BUSY     stopped, but a handler or an offload still ran: its thread could not be joined, or its
 *                            process was killed
 *          a hook's code: see concur_server_hook()
 *          CONCUR_E_STATE    the server has been run or started, or another run of this process is under way
 *          CONCUR_E_HOME     called in a handler
 *          CONCUR_E_FORKED
 *          concur_server_error() has the details
 * thread   the one that did the set-up; never in a handler
 * blocks   until the server has stopped */
CONCUR_API int concur_server_run(concur_server *server);

/* Serves in the background, without touching signals: on threads of the library, or in processes of its own where there
 * is a master. These processes inherit descriptors 0, 1, 2 and the library's own only, and end when the host ends. Do not
 * wait for the master with waitpid() but with concur_server_wait(). Call concur_server_dispatch() to get log and events.
 *
 * returns  CONCUR_OK: connections are accepted, or a stop was asked for meanwhile; else as concur_server_run(), and
 *          nothing is left running
 * thread   the one that did the set-up; never in a handler of this server
 * blocks   until it serves or has failed; hooks of worker processes may take up to the option `start_timeout` */
CONCUR_API int concur_server_start(concur_server *server);

/* Gives a descriptor that is readable when concur_server_dispatch() has something to do, for any poll loop.
 *
 * returns  the descriptor, which is the library's and valid until the server is freed; CONCUR_E_STATE: not started;
 *          CONCUR_E_FORKED
 * thread   any, after start has returned
 * blocks   no */
CONCUR_API int concur_server_fd(concur_server *server);

/* Calls the log function and the CONCUR_HOOK_EVENT hooks for what the server's processes have sent. Call it when
 * concur_server_fd() is readable. Without a master it only tells when the server has ended.
 *
 * returns  CONCUR_OK        nothing more for now
 *          CONCUR_E_GONE    the server has ended; concur_server_wait() returns how
 *          CONCUR_E_STATE   not started
 *          CONCUR_E_FORKED
 * thread   any but the library's, one at a time, and not while another one waits in concur_server_wait()
 * blocks   only as long as the host's functions do */
CONCUR_API int concur_server_dispatch(concur_server *server);

/* Asks all processes of the server to stop, and returns at once. No more connections are accepted. Current requests may
 * finish until the deadline; then they are given up with CONCUR_E_STOPPING. A later call can only make the deadline
 * earlier.
 *
 * deadline_ms  milliseconds from now, any value; 0: now
 * returns      CONCUR_OK        it will stop, or has stopped already
 *              CONCUR_E_STATE   never run or started
 *              CONCUR_E_FORKED
 * thread       any, also in a signal handler (async-signal-safe, keeps errno)
 * blocks       no; concur_server_wait() waits */
CONCUR_API int concur_server_stop(concur_server *server, unsigned deadline_ms);

/* Asks the master to read file and environment again and to start a new generation. The old generation stops accepting
 * when the new one accepts. Every option but `listen` may change, also those of scope `start`. If there is an error,
 * nothing changes. CONCUR_HOOK_EVENT tells the result.
 *
 * returns  CONCUR_OK        asked for
 *          CONCUR_E_STATE   there is no master, or the server is not running
 *          CONCUR_E_FORKED
 * thread   any, also in a signal handler (async-signal-safe)
 * blocks   no */
CONCUR_API int concur_server_reload(concur_server *server);

/* Waits until a started server has stopped; concur_server_stop() is called from elsewhere. Meanwhile it does what
 * concur_server_dispatch() does.
 *
 * returns  CONCUR_OK        stopped: every thread of the library is joined and every on_end has run
 *          CONCUR_E_BUSY    the stop's deadline is over, and a handler or an offload still runs. No thread is ever killed:
 *                           call again, and do not free what that code uses. With a master this is final: the process
 *                           was killed
 *          CONCUR_E_SYS     the master or one of its processes ended badly
 *          CONCUR_E_STATE   not started
 *          CONCUR_E_HOME    called in a callback of this server
 *          CONCUR_E_FORKED
 * thread   any but the library's, one at a time
 * blocks   until the server has stopped, at most a second after the stop's deadline or this call, whichever is later.
 *          With a master: until that has ended */
CONCUR_API int concur_server_wait(concur_server *server);

/* Frees a server and everything it owns. A server that still runs is first stopped with deadline 0 and waited for. If
 * code of the program still runs then (CONCUR_E_BUSY), the server's memory is not freed. No effect in a process that the
 * program forked, nor in a callback of this server, where it logs an error.
 *
 * server   may be NULL; invalid afterwards
 * thread   the one that did the set-up, or any if no other one uses the server
 * blocks   as concur_server_wait() if the server runs; else no */
CONCUR_API void concur_server_free(concur_server *server);

/* ---- what a server is and does ---- */

/* Gives an address that the server listens on, with the actual port instead of 0.
 *
 * i        0 for the first, in the order of the option `listen`
 * out      receives "127.0.0.1:8080" or "[::1]:8080" and a NUL
 * n        room at out in bytes; 64 is enough for every IP address
 * returns  CONCUR_OK
 *          CONCUR_E_INVAL   there is no address i, or out is NULL
 *          CONCUR_E_LIMIT   out is too small; nothing is written
 *          CONCUR_E_STATE   not running
 *          CONCUR_E_FORKED
 * thread   any, after start has returned or in a handler
 * blocks   no */
CONCUR_API int concur_server_address(concur_server *server, unsigned i, char *out, size_t n);

/* Writes the server's state as one JSON object: engine, process, connections, requests, threads, queues. With several
 * processes the numbers are sums that include ended processes, and may be 100 ms old, or older while a process computes.
 * pid is the master's. engine is that of the serving generation; in a worker its own. "processes" lists each process with
 * kind, number, pid, state, milliseconds in that state, connections and requests. Later versions may add members.
 *
 * json     receives the text and a NUL; may be NULL if *len is 0
 * len      in: room at json in bytes; out: length of the text without the NUL, even if it did not fit
 * returns  CONCUR_OK
 *          CONCUR_E_LIMIT   too little room; json is "" if there is any
 *          CONCUR_E_INVAL   len is NULL, or json is NULL with room
 *          CONCUR_E_NOMEM
 *          CONCUR_E_STATE   not running
 *          CONCUR_E_FORKED
 * thread   any
 * blocks   no */
CONCUR_API int concur_server_status(concur_server *server, char *json, size_t *len);

/* Returns the engine that serves, or that run would choose now: CONCUR_ENGINE_*, never CONCUR_ENGINE_DEFAULT. After a
 * reload it is that of the serving generation; in a worker its own. Errors: CONCUR_E_INVAL, CONCUR_E_NOMEM.
 *
 * thread   set-up; any after start has returned
 * blocks   no */
CONCUR_API int concur_server_engine(const concur_server *server);

/* Tells which of the server's processes this is.
 *
 * returns  the worker's number from 0; 0 without a master. A worker that replaces another one has a different number,
 *          which may be `workers` or more. CONCUR_E_STATE: in the master or the host of several processes, or not running
 * thread   any
 * blocks   no */
CONCUR_API int concur_server_worker(const concur_server *server);

/* Returns a worker's generation: 1 at the start, and 1 more after each reload; elsewhere 1.
 *
 * thread   any
 * blocks   no */
CONCUR_API int concur_server_generation(const concur_server *server);

/* Gives every error of the set-up and of check, run or start, one a line. A line about a value says where it comes from
 * and what is allowed: `workers=9999 (server.conf:12): at most 1024`.
 *
 * returns  the text, "" if there is no error, never NULL. The server's, valid until the next call on the server
 * thread   set-up; also after run or start has returned, on the same thread
 * blocks   no */
CONCUR_API const char *concur_server_error(const concur_server *server);

/* Writes a text about the options, for a program's --help and --dump.
 *
 * what     CONCUR_TEXT_HELP, CONCUR_TEXT_DUMP or CONCUR_TEXT_NOTES
 * out      receives the text and a NUL, each line with a newline; may be NULL if *len is 0
 * len      in: room at out in bytes; out: length of the text without the NUL, even if it did not fit
 * returns  CONCUR_OK
 *          CONCUR_E_LIMIT  too little room; out is "" if there is any
 *          CONCUR_E_INVAL  no such text; len is NULL, or out is NULL with room
 *          CONCUR_E_NOMEM
 * thread   set-up
 * blocks   no */
CONCUR_API int concur_server_text(concur_server *server, int what, char *out, size_t *len);

/* Gives an engine's name, as the option `engine` takes it. This build need not have the engine.
 *
 * returns  static text: "default", "prefork", "thread", "event", "process-thread", "process-event", "event-pool"; NULL
 *          for any other number
 * thread   any
 * blocks   no */
CONCUR_API const char *concur_engine_name(int engine);

/* Finds an engine by name, in lower case: the reverse of concur_engine_name().
 *
 * returns  CONCUR_ENGINE_*; CONCUR_E_INVAL: no such name, or NULL
 * thread   any
 * blocks   no */
CONCUR_API int concur_engine_parse(const char *name);

#ifdef __cplusplus
}
#endif

#endif
