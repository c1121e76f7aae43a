/* Which pages of other origins (RFC 6454) may call the API and open sockets: the CORS_ORIGINS
 * setting, for workers and daemon alike. */
#ifndef PARLEY_ORIGIN_H
#define PARLEY_ORIGIN_H

#include <stdbool.h>

/* Is the setting made of such words: an origin as browsers send it (scheme://host[:port], lower case), `*` or
 * `localhost`? Nothing at all is fine, too. */
bool origin_setting_valid(const char *setting);

/* Is this Origin header's value allowed by the setting: a comma-separated list of origins, `*`, or
 * `localhost` for every port of this machine? */
bool origin_allowed(const char *setting, const char *origin);

/* Does the origin name the same host and port as the Host header (the page came from here)? */
bool origin_is_host(const char *origin, const char *host);

#endif
