/* SPDX-License-Identifier: MIT
 *
 * IMF-fixdate (RFC 9110 §5.6.7) from seconds, in the Gregorian calendar, without the C library's time zones.
 */
#include "http/http.h"

#define DAY_S 86400
/* First and last second of the years 0 to 9999, which have four digits. Other times become the nearest of the two. */
#define FIRST_S (-INT64_C(62167219200))
#define LAST_S INT64_C(253402300799)

static void put_two(char *out, unsigned v)
{
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
}

struct civil {
    unsigned year, month, day; /* month 0..11, day 1..31 */
};

/* Here a year begins in March, so that the leap day is its last day. An era is 400 years, 146097 days. */
static struct civil civil_of(int64_t days)
{
    const int64_t from_march_0 = days + 719468; /* 1970-01-01 counted from 0000-03-01 */
    const int64_t era = (from_march_0 >= 0 ? from_march_0 : from_march_0 - 146096) / 146097;
    const unsigned day_of_era = (unsigned)(from_march_0 - era * 146097);
    const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned march_month = (5 * day_of_year + 2) / 153; /* 153 days in any five months from March on */
    const unsigned month = (march_month + 2) % 12;
    return (struct civil){ .year = (unsigned)((int64_t)year_of_era + era * 400 + (month < 2)),
                           .month = month,
                           .day = day_of_year - (153 * march_month + 2) / 5 + 1 };
}

void cnc_http_date(char out[CNC_HTTP_DATE_LEN], int64_t unix_s)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const int64_t s = unix_s < FIRST_S ? FIRST_S : unix_s > LAST_S ? LAST_S : unix_s;
    const int64_t days = (s >= 0 ? s : s - (DAY_S - 1)) / DAY_S;
    const unsigned of_day = (unsigned)(s - days * DAY_S);
    const unsigned weekday = (unsigned)((days % 7 + 7) % 7);
    const struct civil date = civil_of(days);
    memcpy(out, "Xxx, 00 Xxx 0000 00:00:00 GMT", CNC_HTTP_DATE_LEN);
    memcpy(out, weekdays + (size_t)weekday * 3, 3);
    put_two(out + 5, date.day);
    memcpy(out + 8, months + (size_t)date.month * 3, 3);
    put_two(out + 12, date.year / 100);
    put_two(out + 14, date.year % 100);
    put_two(out + 17, of_day / 3600);
    put_two(out + 20, of_day / 60 % 60);
    put_two(out + 23, of_day % 60);
}
