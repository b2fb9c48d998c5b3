/* SPDX-License-Identifier: MIT
 *
 * Options. One table (options.def) is used for setting by name, the configuration file, CONCUR_* variables, --help,
 * --dump and the reference page. Values have five layers, of which the later one wins. The origin of each value is
 * kept.
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

/* Every server-wide option with its value in the unit that its row names. options/config.h makes it from
 * options.def. */
struct cnc_config;
/* Options of route scope: the server's value unless a `route "PATTERN"` section says otherwise. */
struct cnc_route_config;

struct cnc_options; /* opaque; owned by the server; one thread, before start */

struct cnc_options *cnc_options_create(void); /* NULL: out of memory */
void cnc_options_destroy(struct cnc_options **o);
/* Sets of layers, a bit for each. OWN: what the program's code and its command line have set. SAID: that and the
 * file. */
#define CNC_LAYERS_OWN (1u << CNC_LAYER_CODE | 1u << CNC_LAYER_OVERRIDE)
#define CNC_LAYERS_SAID (CNC_LAYERS_OWN | 1u << CNC_LAYER_FILE)
/* A copy with the values of these layers; with all of SAID it has the errors too. NULL: out of memory. */
struct cnc_options *cnc_options_copy(const struct cnc_options *o, unsigned layers);

/* Stores a value given as text. section: NULL or "" for the server, else "route PATTERN". origin: what an error
 * names, such as "server.conf:12"; NULL names the layer. Returns CONCUR_OK, CONCUR_E_NOMEM, CONCUR_E_OPTION, or
 * CONCUR_E_UNSUPPORTED for what this version does not have; the last two are also added to the list of errors. */
int cnc_options_set(struct cnc_options *o, enum cnc_layer layer, const char *section, const char *name,
                    const char *value, const char *origin);

/* Reads a configuration file into the file layer, and removes what was there before. Every error names file and line.
 * CONCUR_OK, or the code of the first error: CONCUR_E_OPTION (also if the library was built without libconfuse),
 * CONCUR_E_UNSUPPORTED or CONCUR_E_NOMEM. libconfuse has one scanner in the process, so only one thread at a time may
 * call this. */
int cnc_options_load_file(struct cnc_options *o, const char *path);

/* Reads CONCUR_<NAME> for every server-wide option into the environment layer. Reads none under setuid (secure_getenv),
 * if CONCUR_SERVER is set and is not the option `name`, or if `environment` is off. These two come from the other
 * layers, so the file must be read before. An empty variable counts as unset. CONCUR_LISTEN may have several addresses,
 * separated by commas. A CONCUR_ variable that names no option is among the notes. */
int cnc_options_load_env(struct cnc_options *o);

/* Fills out with the merged values, whose bounds were checked. Valid until the next call on o that changes it.
 * CONCUR_OK, CONCUR_E_NOMEM, or the code of the first error so far; then out is filled too, without the refused values.
 * For a route, a value of its section in any layer wins over the server's value. */
int cnc_options_resolve(struct cnc_options *o, struct cnc_config *out);
int cnc_options_resolve_route(struct cnc_options *o, const char *pattern, struct cnc_route_config *out);

/* All errors so far, a line for each; "" if there is none. Valid until the next call on o. */
const char *cnc_options_errors(const struct cnc_options *o);
/* Notes after resolve, a line for each. Warnings are for the person who runs the program: options of file, environment
 * and override that the engine does not use, route sections that match no route of cnc_options_resolve_route() (if that
 * was called), CONCUR_* variables that nearly name an option. The rest: values from the environment, options of the
 * code that the engine does not use, other CONCUR_* variables. Valid until the next call on o. */
enum cnc_notes { CNC_NOTES_ALL, CNC_NOTES_WARNINGS, CNC_NOTES_REST };
const char *cnc_options_notes(const struct cnc_options *o, enum cnc_notes which);

/* Texts, malloc'd, or NULL. For --help: every option with default, bounds, unit and description. For --dump: the values
 * in force with their origins, in the syntax of the file, and what follows from cfg, which was resolved before. For the
 * reference page: Markdown. */
char *cnc_options_help(void);
char *cnc_options_dump(const struct cnc_options *o, const struct cnc_config *cfg);
char *cnc_options_reference(void);

/* Names of engines as the option `engine` takes them. NULL or CONCUR_E_INVAL: no such engine. */
const char *cnc_engine_name(int engine);
int cnc_engine_parse(const char *name);

#endif
