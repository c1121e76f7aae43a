/* Origins and hosts as browsers send them, and the setting they are held against: three lines. Socket
 * paths and subprotocols besides. */
#include "shared/origin.h"
#include "tests/fuzz/support/fuzz.h"
#include "ws-daemon/dialect.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text;
    char *setting = strsep(&rest, "\n");
    char *origin = strdup(rest ? strsep(&rest, "\n") : "");
    char *host = strdup(rest ? rest : "");
    const struct dialect_ops *ops;
    CHECK(origin && host);
    bool allowed = origin_allowed(setting, origin);
    CHECK(!allowed || strpbrk(setting, "*lh") || strstr(setting, origin));
    CHECK(!origin_allowed("", origin));
    CHECK(!origin_is_host(origin, host) || !strncmp(origin, "http", 4));
    if (origin_allowed("localhost", origin))
        CHECK(strstr(origin, "//localhost") || strstr(origin, "//127.0.0.1") || strstr(origin, "//[::1]"));
    if (dialect_of_path(origin, &ops))
        CHECK(*origin == '/');
    ops = dialect_ops_by_subprotocol(origin);
    CHECK(!ops || !strcmp(ops->subprotocol, origin));
    free(origin);
    free(host);
    free(text);
    return 0;
}
