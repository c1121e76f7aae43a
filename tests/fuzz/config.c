/* The configuration file and the key file. */
#include "shared/config.h"
#include "shared/token.h"
#include "tests/fuzz/support/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_config(const char *text, size_t len)
{
    struct config config = {0};
    static FILE *errors;
    FILE *in = len ? fmemopen((char *)text, len, "r") : NULL;
    errors = errors ? errors : fopen("/dev/null", "we");
    if (!in)
        return;
    if (config_read_file(in, "fuzz", errors, &config)) {
        CHECK(config.fcgi_workers >= 1 && config.fcgi_workers <= 256);
        CHECK(config.bcrypt_cost >= 4 && config.bcrypt_cost <= 17);
        CHECK(config.body_max >= 1024 && config.outbox_max >= 65536 && config.access_ttl >= 10);
        CHECK(config.database_url && config.key_file && config.log_level);
    }
    fclose(in);
}

static void check_keys(const char *text, size_t len)
{
    static struct keyring ring; /* not on the stack: ASan sees more around it */
    static int fd = -1;
    char path[64];
    if (fd < 0)
        fd = memfd_create("keys", MFD_CLOEXEC);
    CHECK(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, text, len, 0) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(&ring, 0, sizeof ring);
    if (!keyring_load(&ring, path))
        return;
    CHECK(ring.count > 0 && ring.count <= KEYS_MAX);
    for (int i = 0; i < ring.count; i++)
        CHECK(ring.keys[i].len >= 32 && ring.keys[i].len <= 64 && memchr(ring.keys[i].id, 0, 33));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_bytes((const char *)data, size);
    check_config(bytes, size);
    check_keys(bytes, size);
    free(bytes);
    return 0;
}
