/* SPDX-License-Identifier: MIT
 *
 * Parses and prints values.
 */
#include "options/internal.h"

#include "net/address.h"

struct suffix {
    const char *text;
    int64_t factor;
};

/* The largest first; a number without a suffix is in the last unit. */
static const struct suffix sizes[] = { { "g", INT64_C(1) << 30 }, { "m", 1 << 20 }, { "k", 1 << 10 }, { "", 1 } };
static const struct suffix times[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { "", 1 } };
static const struct suffix plain[] = { { "", 1 } };

static const struct suffix *suffixes(const struct cnc_option_row *row, size_t *count)
{
    if (row->type == CNC_TYPE_SIZE) {
        *count = CNC_COUNT(sizes);
        return sizes;
    }
    if (row->type == CNC_TYPE_TIME) {
        *count = CNC_COUNT(times);
        return times;
    }
    *count = 1;
    return plain;
}

/* A time must have a unit, since other servers have options of the same name in seconds. */
static bool lacks_unit(const struct cnc_option_row *row, const char *text)
{
    size_t zeros = strspn(text, "0");
    return row->type == CNC_TYPE_TIME && text[zeros] && text[strspn(text, "0123456789")] == '\0';
}

/* Reads digits and a suffix of the type. A product that does not fit becomes INT64_MAX, which exceeds every bound. */
static bool read_number(const struct cnc_option_row *row, const char *text, int64_t *out)
{
    size_t digits = 0, count;
    const struct suffix *s = suffixes(row, &count);
    while (cnc_is_digit(text[digits]))
        digits++;
    if (digits == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (cnc_equal_lower(text + digits, strlen(text + digits), s[i].text, strlen(s[i].text))) {
            uint64_t v;
            bool fits = cnc_parse_decimal(text, digits, (uint64_t)(INT64_MAX / s[i].factor), &v);
            *out = fits ? (int64_t)v * s[i].factor : INT64_MAX;
            return true;
        }
    }
    return false;
}

static bool is_word(const char *text, const char *word)
{
    return cnc_equal_lower(text, strlen(text), word, strlen(word));
}

void cnc_option_print(const struct cnc_option_row *row, int64_t number, struct cnc_text *out)
{
    size_t count;
    const struct suffix *s = suffixes(row, &count);
    if (row->type == CNC_TYPE_BOOL) {
        cnc_text_add(out, "%s", number ? "on" : "off");
    } else if (row->type == CNC_TYPE_ENUM) {
        const char *name = cnc_option_choice(row->name, number);
        cnc_text_add(out, "%s", name ? name : "");
    } else if (row->type == CNC_TYPE_AUTO && number < row->min) {
        cnc_text_add(out, "auto");
    } else {
        while (s->factor > 1 && (number == 0 || number % s->factor))
            s++;
        cnc_text_add(out, "%lld%s", (long long)(number / s->factor), number ? s->text : "");
    }
}

static int refuse_number(const struct cnc_option_row *row, struct cnc_text *err)
{
    static const char *const what[] = { [CNC_TYPE_INT] = "a whole number",
                                        [CNC_TYPE_AUTO] = "auto or a whole number",
                                        [CNC_TYPE_SIZE] = "a size such as 512, 64k, 1m or 2g,",
                                        [CNC_TYPE_TIME] = "a time such as 500ms, 15s, 2m or 1h," };
    cnc_text_add(err, "%s from ", what[row->type]);
    cnc_option_print(row, row->min, err);
    cnc_text_add(err, " to ");
    cnc_option_print(row, row->max, err);
    return CONCUR_E_OPTION;
}

static int parse_number(const struct cnc_option_row *row, const char *text, int64_t *out, struct cnc_text *err)
{
    int64_t v;
    if (row->type == CNC_TYPE_AUTO && is_word(text, "auto")) {
        *out = row->min - 1;
        return CONCUR_OK;
    }
    if (lacks_unit(row, text)) {
        cnc_text_add(err, "a time needs a unit: %.20sms or %.20ss", text, text);
        return CONCUR_E_OPTION;
    }
    if (!read_number(row, text, &v))
        return refuse_number(row, err);
    int64_t least = row->type == CNC_TYPE_AUTO ? row->min - 1 : row->min; /* `workers = 0` means auto too */
    if (v < least || v > row->max) {
        cnc_text_add(err, v < least ? "at least " : "at most ");
        cnc_option_print(row, v < least ? row->min : row->max, err);
        return CONCUR_E_OPTION;
    }
    *out = v;
    return CONCUR_OK;
}

static int parse_bool(const char *text, int64_t *out, struct cnc_text *err)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };
    for (size_t i = 0; i < CNC_COUNT(words); i++) {
        if (is_word(text, words[i])) {
            *out = i & 1;
            return CONCUR_OK;
        }
    }
    cnc_text_add(err, "on, yes, true or 1; off, no, false or 0");
    return CONCUR_E_OPTION;
}

static int parse_enum(const struct cnc_option_row *row, const char *text, int64_t *out, struct cnc_text *err)
{
    if (cnc_option_choose(row->name, text, out))
        return CONCUR_OK;
    cnc_text_add(err, "one of ");
    cnc_option_print_choices(row, err);
    const char *nearest = cnc_option_nearest_choice(row->name, text);
    if (nearest)
        cnc_text_add(err, "; did you mean %s?", nearest);
    return CONCUR_E_OPTION;
}

/* Refuses control characters, which would break log lines and the dump. */
static int parse_string(const struct cnc_option_row *row, const char *text, struct cnc_text *err)
{
    size_t n = strlen(text);
    if (n > (size_t)row->max) {
        cnc_text_add(err, "at most %lld bytes", (long long)row->max);
        return CONCUR_E_OPTION;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            cnc_text_add(err, "no control characters");
            return CONCUR_E_OPTION;
        }
    }
    return CONCUR_OK;
}

static int parse_listen(const char *text, struct cnc_text *err)
{
    struct cnc_address address;
    char why[CNC_ADDRESS_ERROR_MAX];
    int rc = cnc_address_parse(&address, text, why, sizeof why);
    if (rc == CONCUR_OK)
        return rc;
    cnc_text_add(err, "%s", why);
    return rc == CONCUR_E_UNSUPPORTED ? rc : CONCUR_E_OPTION;
}

int cnc_option_parse(const struct cnc_option_row *row, const char *text, int64_t *out, struct cnc_text *err)
{
    *out = 0;
    switch (row->type) {
    case CNC_TYPE_BOOL:
        return parse_bool(text, out, err);
    case CNC_TYPE_INT:
    case CNC_TYPE_AUTO:
    case CNC_TYPE_SIZE:
    case CNC_TYPE_TIME:
        return parse_number(row, text, out, err);
    case CNC_TYPE_ENUM:
        return parse_enum(row, text, out, err);
    case CNC_TYPE_STRING:
        return parse_string(row, text, err);
    case CNC_TYPE_LIST:
        return parse_listen(text, err);
    }
    return CONCUR_E_OPTION;
}
