/* The hosts of a database URL that names several, as libpq lets it: an attempt to connect begins with the
 * first, and one that never says a word takes all the time the attempt has. So each begins with another. */
#ifndef PARLEY_HOSTS_H
#define PARLEY_HOSTS_H

/* libpq's parameters of these names, in another order than the URL's; all NULL: it names one host at most. */
struct hosts {
    char *host, *hostaddr, *port;
};

/* How many it names, at least 1. */
unsigned hosts_count(const char *url);

/* The hosts of a conninfo or URI, from the turn-th on (0: the first; it wraps), and then those before it. */
void hosts_init(struct hosts *h, const char *url, unsigned turn);
void hosts_release(struct hosts *h);

#endif
