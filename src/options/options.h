/* SPDX-License-Identifier: MIT
 *
 * One table of options (options.def) drives set-by-name, the configuration file, CONCUR_* variables, --help, --dump and
 * the reference page. Values come in five layers, the later wins; the origin of each is kept.
 */
#ifndef CNC_OPTIONS_H
#define CNC_OPTIONS_H

#include "base/base.h"

enum cnc_layer {
    CNC_LAYER_DEFAULT = 0,
    CNC_LAYER_CODE = 1,
    CNC_LAYER_FILE = 2,
    CNC_LAYER_ENV = 3,
    CNC_LAYER_OVERRIDE = 4
};

/* Every server-wide option with its value in the unit that its row names. options/config.h makes it from options.def. */
struct cnc_config;
/* Options of route scope: the server's value unless a `route "PATTERN"` section says otherwise. */
struct cnc_route_config;

struct cnc_options; /* opaque; owned by the server; one thread, before start */

struct cnc_options *cnc_options_create(void); /* NULL: out of memory */
void cnc_options_destroy(struct cnc_options **o);
/* Sets of layers, a bit for each. OWN: what the program's code and its command line said. SAID: that and the file. */
#define CNC_LAYERS_OWN (1u << CNC_LAYER_CODE | 1u << CNC_LAYER_OVERRIDE)
#define CNC_LAYERS_SAID (CNC_LAYERS_OWN | 1u << CNC_LAYER_FILE)
/* The values of some layers; with all of SAID the errors as well. NULL: out of memory. */
struct cnc_options *cnc_options_copy(const struct cnc_options *o, unsigned layers);

/* Stores a value given as text. section: NULL or "" for the server, else "route PATTERN". origin: what an error
 * names, such as "server.conf:12"; NULL names the layer. Returns CONCUR_OK, CONCUR_E_NOMEM, CONCUR_E_OPTION, or
 * CONCUR_E_UNSUPPORTED for what this version does not have; the last two are also added to the list of errors. */
int cnc_options_set(struct cnc_options *o, enum cnc_layer layer, const char *section, const char *name,
                    const char *value, const char *origin);

/* Reads a configuration file into the file layer, whose former content is forgotten; every error names file and line.
 * CONCUR_OK, CONCUR_E_OPTION (also where the library was built without libconfuse), CONCUR_E_UNSUPPORTED or
 * CONCUR_E_NOMEM: the first error's. libconfuse keeps its scanner in the process: only one thread of a process may be in
 * here at a time. */
int cnc_options_load_file(struct cnc_options *o, const char *path);

/* Reads CONCUR_<NAME> for every server-wide option into the environment layer; never under setuid (secure_getenv); not
 * at all when CONCUR_SERVER is set and is not the server's `name`, or when `environment` is off. Both are what the
 * other layers say by now, so the file comes first. An empty variable counts as unset; CONCUR_LISTEN takes several
 * addresses, parted by commas. A CONCUR_ variable that names no option is among the notes. */
int cnc_options_load_env(struct cnc_options *o);

/* The merged values, bounds already checked. Valid until the next call on o that changes it. CONCUR_OK, CONCUR_E_NOMEM,
 * or the code of the first error so far; out is filled all the same, as if refused values had not been
 * given. For a route, what its section says in any layer goes before what any layer says for the server. */
int cnc_options_resolve(struct cnc_options *o, struct cnc_config *out);
int cnc_options_resolve_route(struct cnc_options *o, const char *pattern, struct cnc_route_config *out);

/* Every error so far, each a line ending in a newline, "" when there is none. Valid until the next call on o. */
const char *cnc_options_errors(const struct cnc_options *o);
/* Lines worth a note after resolve. Warnings are what whoever runs the program has to look at: options of file,
 * environment and override that the engine ignores, route sections that match no route of cnc_options_resolve_route() (if
 * it was called at all), CONCUR_* variables that nearly name an option. The rest: what the environment has set, options of
 * the code that the engine ignores, other CONCUR_* variables. Lines end in newlines; valid until the next call on o. */
enum cnc_notes { CNC_NOTES_ALL, CNC_NOTES_WARNINGS, CNC_NOTES_REST };
const char *cnc_options_notes(const struct cnc_options *o, enum cnc_notes which);

/* Text for --help (every option, its default, bounds, unit, line of doc), --dump (the values in force with their
 * origin, in the file's own syntax, and what follows from those of cfg, resolved before) and the reference page
 * (Markdown). Return malloc'd text or NULL. */
char *cnc_options_help(void);
char *cnc_options_dump(const struct cnc_options *o, const struct cnc_config *cfg);
char *cnc_options_reference(void);

/* Names of engines as the option `engine` takes them. NULL or CONCUR_E_INVAL: no such engine. */
const char *cnc_engine_name(int engine);
int cnc_engine_parse(const char *name);

#endif
