/* RFC 3339 both ways, on timegm(3) and gmtime_r(3). */
#include "shared/timefmt.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t time_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t time_steady(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double time_seconds(void)
{
    return (double)time_steady() / 1e6;
}

void time_format(int64_t us, char out[TIME_TEXT])
{
    time_t seconds = (time_t)(us / 1000000);
    int micros = (int)(us % 1000000);
    struct tm tm;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    gmtime_r(&seconds, &tm);
    size_t len = strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, TIME_TEXT - len, ".%06dZ", micros);
}

/* Exactly n digits at *p. */
static bool digits(const char **p, int n, int *out)
{
    int value = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        value = value * 10 + (**p - '0');
    }
    *out = value;
    return true;
}

static bool literal(const char **p, const char *any_of)
{
    if (!**p || !strchr(any_of, **p))
        return false;
    (*p)++;
    return true;
}

/* .123456789…: six digits of microseconds, the rest apart. */
static bool fraction(const char **p, int *micros, int64_t *rest)
{
    int n = 0;
    *micros = 0;
    *rest = -1;
    if (**p != '.')
        return true;
    for ((*p)++; **p >= '0' && **p <= '9'; (*p)++, n++) {
        int d = **p - '0';
        if (n < 6)
            *micros = *micros * 10 + d;
        else if (n >= 24)
            return false;
        else
            *rest = (n == 6 ? 0 : *rest) * 10 + d;
    }
    for (int i = n; i < 6; i++)
        *micros *= 10;
    return n > 0;
}

/* Z, +01:00, or a space for the plus that a URL query swallowed. In minutes. */
static bool offset(const char **p, int *minutes)
{
    int hours = 0, mins = 0;
    char sign = **p;
    *minutes = 0;
    if (literal(p, "Zz"))
        return true;
    if (!literal(p, "+- ") || !digits(p, 2, &hours) || !literal(p, ":") || !digits(p, 2, &mins) || hours > 23 ||
        mins > 59)
        return false;
    *minutes = (sign == '-' ? -1 : 1) * (hours * 60 + mins);
    return true;
}

bool time_parse(const char *text, int64_t *us, int64_t *rest)
{
    struct tm tm = {0};
    const char *p = text;
    int micros, minutes, day;
    int64_t tail;
    if (!digits(&p, 4, &tm.tm_year) || !literal(&p, "-") || !digits(&p, 2, &tm.tm_mon) || !literal(&p, "-") ||
        !digits(&p, 2, &tm.tm_mday) || !literal(&p, "Tt ") || !digits(&p, 2, &tm.tm_hour) || !literal(&p, ":") ||
        !digits(&p, 2, &tm.tm_min) || !literal(&p, ":") || !digits(&p, 2, &tm.tm_sec) ||
        !fraction(&p, &micros, &tail) || !offset(&p, &minutes) || *p)
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
        return false;
    day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t seconds = timegm(&tm);
    if (tm.tm_mday != day) /* February 30 became March */
        return false;
    *us = ((int64_t)seconds - (int64_t)minutes * 60) * 1000000 + micros;
    *rest = tail;
    return true;
}
