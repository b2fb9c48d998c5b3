/* SPDX-License-Identifier: MIT
 *
 * The server: set-up, options, life.
 *
 *     new -> listen, route, set, override, log, hook -> run            -> free
 *                                                    -> start -> wait  -> free
 *
 * Set-up errors are kept: the failing call returns its error, check, run and start return the first one, and
 * concur_server_error() lists all of them. So a program may ignore what the set-up functions return. Not kept are
 * CONCUR_E_STATE and the error for a NULL server.
 *
 * Every function accepts a NULL server; those that return int then return CONCUR_E_INVAL. Servers in one process do not
 * affect each other.
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
 * engine   CONCUR_ENGINE_*: the code layer's value of the option `engine`. An unknown number is kept as CONCUR_E_INVAL
 * config   path of a configuration file, which is read and checked now, or NULL. An error in it is kept as
 *          CONCUR_E_OPTION; what this version does not have (TLS) as CONCUR_E_UNSUPPORTED
 * returns  the server, which the caller owns until concur_server_free(); NULL: out of memory
 * thread   any
 * blocks   while it reads the file */
CONCUR_API concur_server *concur_server_new(int engine, const char *config);

/* Adds a handler for requests whose method and path match a pattern (RFC 9110 §9, §15.5.5, §15.5.6).
 *
 * A segment is literal text, "{name}" (one segment, not empty) or, as the last one, "*name" (the rest of the path without
 * its leading slash; may be empty). Literal text is compared case-sensitively with the percent-decoded, normalised path;
 * methods are case-sensitive too (RFC 9110 §9.1). If several routes match, the most literal one wins, segment by segment
 * from the left: literal, parameter, rest; between equals the one that was added first. When its handler returns
 * CONCUR_DECLINE, the next one is asked.
 *
 * A route for GET also answers HEAD. If a path has routes, but none for the method, the answer is 405 with Allow, or for
 * OPTIONS 204 with Allow.
 *
 * Patterns that probably mean something else are accepted, with a line in the log and in CONCUR_TEXT_NOTES: the method
 * "get"; a segment ":id" or "<id>", which is literal text; a route behind another one that matches the same requests.
 *
 * pattern  "GET /hello/{name}", "GET,POST /form", "/static/" followed by "*rest"; without a method: any
 * flags    CONCUR_ROUTE_* bits or 0
 * handler  called once for each request, at its home */
CONCUR_API int concur_server_route(concur_server *server, const char *pattern, unsigned flags,
                                   concur_handler_fn handler, void *arg);

/* Adds a function that runs before the handlers of all routes under a prefix: access control, say. It runs when the head
 * of the request is complete and before the body is read, once for each request, also if there is no route for the path
 * or the method. Functions run in the order in which they were added. They run on the thread that a handler without
 * CONCUR_ROUTE_BLOCKING would have, so on a loop they must not block.
 *
 * prefix   literal text, such as "/api": the path "/api" itself and all under "/api/", but not "/apis"; "/": every path.
 *          It is compared with the decoded path, as concur_request_path() gives it
 * flags    CONCUR_ROUTES_* bits or 0
 * before   returns
 *          CONCUR_OK       it has replied: neither later functions nor the handler run. Or it has not replied, and the
 *                          request goes on. Then nothing may be left pending, or the library answers 500
 *          CONCUR_AGAIN    it left something pending and decides later: it replies, or calls concur_request_pass()
 *          CONCUR_DECLINE  404, as if there were no route
 *          else            as concur_handler_fn */
CONCUR_API int concur_server_before(concur_server *server, const char *prefix, int flags, concur_handler_fn before,
                                    void *arg);

/* Adds a function that runs before the head of a reply leaves, for every request under a prefix that gets a reply, also
 * one of the library. It may add, replace and remove fields; it cannot reply. Functions run in the order in which they
 * were added.
 *
 * prefix, flags  as for concur_server_before()
 * after          gets the reply's status. Returns CONCUR_OK, or a negative code: then the call that replies returns that
 *                code and sends nothing, as after a refused field. An error page is sent in any case, and the error is
 *                logged. If memory for a reply runs out, it runs again for the error page */
CONCUR_API int concur_server_after(concur_server *server, const char *prefix, int flags, concur_status_fn after, void *arg);

/* Adds a function that makes error pages in place of the library's: for a route that is missing, a status or an error
 * that a handler returns, a deadline, a full queue. Allow of 405 and Retry-After of 503 are set already. What the library
 * answers before there is a request keeps its page: 400, 408, 414, 431, 503 of a server that takes no more connections or
 * requests, and 502 of process-thread.
 *
 * status   400..599, or one of CONCUR_PAGE_*. For one status the function of that status is called, else that of its
 *          class, else that of all. A second function for the same replaces the first
 * page     replies with the status that it gets, or another, before it returns; it cannot reply later. Returns
 *          CONCUR_OK; CONCUR_DECLINE if it did not reply: the library's page is sent. After an error that is sent too,
 *          and the error is logged */
CONCUR_API int concur_server_page(concur_server *server, int status, concur_status_fn page, void *arg);

/* Sets an option in the code layer: the program's own default. A later layer wins over an earlier one:
 * default < code < configuration file < environment (CONCUR_<NAME>) < override.
 *
 * section  NULL: the server; "route PATTERN": one route, with PATTERN as given to concur_server_route()
 * name     as in the configuration file, such as "threads_max"
 * value    as in the configuration file, such as "64", "64k" or "15s"; a time other than 0 has a unit
 * returns  as above, and:
 *          CONCUR_OK             also for an option that the engine ignores, which CONCUR_TEXT_NOTES tells
 *          CONCUR_E_OPTION       unknown section or name, or a value that is malformed or out of bounds
 *          CONCUR_E_UNSUPPORTED  not in this version: sections "tls NAME" and "upstream NAME", addresses with tls=NAME */
CONCUR_API int concur_server_set(concur_server *server, const char *section, const char *name, const char *value);

/* As concur_server_set(), but in the last layer, which wins over all others: for a program's command-line flags. */
CONCUR_API int concur_server_override(concur_server *server, const char *section, const char *name, const char *value);

/* Adds an address to listen on, in the code layer of the option `listen`. If a later layer has addresses too, only
 * those of the last such layer count: CONCUR_LISTEN replaces the program's addresses. Run and start bind them, and return
 * the errors of that.
 *
 * address  "127.0.0.1:8080", "[::1]:8080"; port 0: a free one, which concur_server_address() tells
 * returns  as above, and:
 *          CONCUR_E_OPTION       malformed, or too many addresses
 *          CONCUR_E_UNSUPPORTED  tls=NAME */
CONCUR_API int concur_server_listen(concur_server *server, const char *address);

/* Sends the log to a function. Without one, run writes warnings and errors to stderr from each process, and start writes
 * nothing. Both begin with the lines of CONCUR_TEXT_NOTES. Without a master the function is called where something
 * happens, on any thread of the server, several at once. With a master it is called in the host's process: during run, or
 * in concur_server_dispatch() and concur_server_wait().
 *
 * The library never waits for its log. A line for which stderr or the host's process has no room is lost; the next line
 * that is written says how many were. Writing to a stderr that nobody reads, or to a full disk, raises neither SIGPIPE
 * nor SIGXFSZ.
 *
 * log      see concur_log_fn; NULL: none
 * returns  CONCUR_OK; CONCUR_E_STATE */
CONCUR_API int concur_server_log(concur_server *server, concur_log_fn log, void *arg);

/* Calls a function at a moment of the server's life. Each moment may have any number of hooks, which are called in the
 * order in which they were added; those of CONCUR_HOOK_WORKER_EXIT in reverse order.
 *
 *   CONCUR_HOOK_BEFORE_FORK   Before each fork, in the process that forks: the master, or the host when it forks the
 *                             master. A place to flush what the child would inherit. If a hook returns a negative code,
 *                             nothing is forked and the hooks after it are not called. Never called without a master
 *   CONCUR_HOOK_WORKER_START  Once in every process that runs handlers, also on the engines of one process: after the
 *                             fork and before the first request, on the thread that is going to serve. If a hook returns
 *                             a negative code, this worker does not start, and neither the hooks after it nor those of
 *                             CONCUR_HOOK_WORKER_EXIT are called; without a master run and start return that code
 *   CONCUR_HOOK_WORKER_EXIT   In the same processes, on the same thread, after the last request, thread and value of
 *                             concur_server_local() has ended. Not in a worker that crashed or was killed, nor in the
 *                             master, a front or a host. The returned value is ignored
 *   CONCUR_HOOK_EVENT         In the host's process: during run or start, and after start in concur_server_dispatch()
 *                             and concur_server_wait(). detail says what happened, such as "worker 3 (pid 123) ended:
 *                             signal 9" or "given up: answering 503". The wording may change, except for "ready", which
 *                             comes once, when connections are accepted. The returned value is ignored. The hook must
 *                             not block
 *
 * Only CONCUR_HOOK_EVENT promises a detail other than "".
 *
 * what     CONCUR_HOOK_*
 * hook     see concur_hook_fn. concur_server_wait(), concur_server_run() and concur_server_free() for this server refuse
 *          to be called in it */
CONCUR_API int concur_server_hook(concur_server *server, int what, concur_hook_fn hook, void *arg);

/* Says what the handlers need from an engine, whichever one is chosen in the end. Check, run and start refuse an engine
 * that cannot give it, with CONCUR_E_UNSUPPORTED and a sentence.
 *
 * needs    CONCUR_NEED_* bits, added to those of earlier calls. CONCUR_NEED_SHARED_MEMORY: handlers share the program's
 *          variables, so engines with several processes are refused. Not needed for <concur/shared.h>
 * returns  CONCUR_OK; CONCUR_E_INVAL: an unknown bit; CONCUR_E_STATE */
CONCUR_API int concur_server_require(concur_server *server, int needs);

/* Checks all that run would check before it binds: the options of every layer, routes, engine. It binds and starts
 * nothing, so it fits a --check flag; run or start may follow. concur_server_error() lists everything it found.
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

/* Serves until stopped. Meanwhile it owns the process's signals: SIGTERM and SIGINT, unblocked on the calling thread, stop
 * gracefully within the option `stop_timeout`; a second one stops at once. SIGPIPE and SIGXFSZ are not touched, and no
 * write of the library raises them. libevent's messages go to the log. Afterwards everything is as it was before, except
 * the program's functions for libevent's log and fatal errors: libevent does not reveal them, so there are none then.
 *
 * On the engines with several processes, and with the option `master`, the calling process becomes the master. Its
 * children run the handlers. SIGHUP then reloads, as concur_server_reload() does, unless the program has a handler for it
 * or the option `sighup` leaves it to the program. Without a master SIGHUP is not touched.
 *
 * returns  CONCUR_OK         stopped, and everything freed but the server itself
 *          the errors of concur_server_check()
 *          CONCUR_E_LISTEN   an address cannot be bound
 *          CONCUR_E_SYS      no descriptor, thread or the like; a worker does not start; or the process cannot serve any
 *                            more (docs/engines.md)
 *          CONCUR_E_THREADS  the engine forks and the process has other threads (option `fork_with_threads`)
 *          CONCUR_E_BUSY     stopped, but a handler or an offload still ran: its thread could not be joined, or its
 *                            process was killed
 *          a hook's code
 *          CONCUR_E_STATE    the server has been run or started, or another run of this process is under way
 *          CONCUR_E_HOME     called in a handler
 *          CONCUR_E_FORKED
 *          concur_server_error() has the details
 * thread   the one that did the set-up; never in a handler
 * blocks   until the server has stopped */
CONCUR_API int concur_server_run(concur_server *server);

/* Serves in the background, and touches no signal: on threads of the library, or, on the engines with several processes
 * and with the option `master`, in a master process and its children. These inherit only descriptors 0, 1, 2 and the
 * library's own, and end with the host's process. The host should wait for the master only with concur_server_wait(), and
 * call concur_server_dispatch() meanwhile if it wants log and events.
 *
 * returns  CONCUR_OK: connections are accepted, or a stop was asked for meanwhile; else as concur_server_run(), and
 *          nothing is left running
 * thread   the one that did the set-up; never in a handler of this server
 * blocks   until it serves or has failed: it makes threads or processes, whose hooks may take up to the option
 *          `start_timeout`; no network traffic */
CONCUR_API int concur_server_start(concur_server *server);

/* Gives a descriptor that is readable when concur_server_dispatch() has something to do, for any poll loop.
 *
 * returns  the descriptor, which is the library's and valid until the server is freed; CONCUR_E_STATE: not started;
 *          CONCUR_E_FORKED
 * thread   any, after start has returned
 * blocks   no */
CONCUR_API int concur_server_fd(concur_server *server);

/* Delivers log lines and events from the server's processes: calls the log function and the CONCUR_HOOK_EVENT hooks. Call
 * it when concur_server_fd() is readable. Without a master these are called where things happen; then this function only
 * tells the end of the server.
 *
 * returns  CONCUR_OK        nothing more for now
 *          CONCUR_E_GONE    the server has ended; concur_server_wait() returns how
 *          CONCUR_E_STATE   not started
 *          CONCUR_E_FORKED
 * thread   any but the library's, one at a time, and not while another one waits in concur_server_wait()
 * blocks   only as long as the host's functions do */
CONCUR_API int concur_server_dispatch(concur_server *server);

/* Asks all processes of the server to stop, and returns at once. No more connections are accepted and current requests
 * may finish. At the deadline the rest is given up with CONCUR_E_STOPPING, and unfinished replies are aborted. A later
 * call can only make the deadline earlier.
 *
 * deadline_ms  milliseconds from now, any value; 0: now
 * returns      CONCUR_OK        it will stop, or has stopped already
 *              CONCUR_E_STATE   never run or started
 *              CONCUR_E_FORKED
 * thread       any, also in a signal handler (async-signal-safe, keeps errno)
 * blocks       no; concur_server_wait() waits */
CONCUR_API int concur_server_stop(concur_server *server, unsigned deadline_ms);

/* Asks for a new generation of processes from the configuration file, which is read again. The new generation accepts
 * before the old one stops accepting. Every option may change except `listen`; also `engine`. This needs a master: an
 * engine with several processes, or the option `master`. CONCUR_HOOK_EVENT tells the result. If the configuration is
 * refused, nothing changes.
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
 *          CONCUR_E_BUSY    the stop's deadline is over and a handler or an offload still runs, for no thread is ever
 *                           killed: call again, and do not free what that code uses. With a master this is final: the
 *                           process that held on was killed
 *          CONCUR_E_SYS     the master or one of its processes ended badly
 *          CONCUR_E_STATE   not started
 *          CONCUR_E_HOME    called in a callback of this server
 *          CONCUR_E_FORKED
 * thread   any but the library's, one at a time
 * blocks   until stop is called; then until a second after the stop's deadline, or after this call if that is later. With
 *          a master: until that has ended */
CONCUR_API int concur_server_wait(concur_server *server);

/* Frees a server and everything it owns. A server that still runs is first stopped with deadline 0 and waited for. If
 * code of the program still runs then (CONCUR_E_BUSY), the server's memory is not freed.
 *
 * server   may be NULL; invalid afterwards. No effect where other functions return CONCUR_E_FORKED
 * thread   the one that did the set-up, or any if no other one uses the server. In a callback of this server it only
 *          writes an error to the log
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
 * processes the numbers are sums, ended processes included. They may be 100 ms old, or more while a process computes; pid
 * is the master's, engine that of the serving generation (in a worker: its own), and "processes" has each process's kind,
 * number, pid, state, milliseconds in it, connections and requests. Later versions may add members.
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

/* Returns the engine that serves, or would serve if run were called now: CONCUR_ENGINE_*, never CONCUR_ENGINE_DEFAULT.
 * After a reload it is that of the serving generation; in a worker its own. Errors: CONCUR_E_INVAL, CONCUR_E_NOMEM.
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

/* Returns this process's generation: 1 at the start, and 1 more after each reload.
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
