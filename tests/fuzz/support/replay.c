/* A fuzz target without libFuzzer, for `make test`: every file of its corpus, which holds the seeds and
 * whatever once made it fail, is a test; then the files are bent at random, always the same way.
 *
 * The program's name says which: fuzz_token replays tests/fuzz/corpus/token. Files named as arguments
 * are replayed alone. */
#include "tests/fuzz/support/fuzz.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 4000, MOST = 4096, FILES_MOST = 500 };

struct seed {
    size_t len;
    uint8_t *bytes;
};

static struct seed seeds[FILES_MOST];
static int seed_count;

static void read_seed(const char *path)
{
    FILE *f = fopen(path, "re");
    CHECK(f && seed_count < FILES_MOST);
    struct seed *s = &seeds[seed_count++];
    s->bytes = malloc(1 << 20);
    CHECK(s->bytes);
    s->len = fread(s->bytes, 1, 1 << 20, f);
    fclose(f);
}

static void run(const uint8_t *bytes, size_t len)
{
    char *exact = fuzz_bytes((const char *)bytes, len);
    LLVMFuzzerTestOneInput((uint8_t *)exact, len);
    free(exact);
}

static void test_file(void **state)
{
    const struct seed *s = *state;
    run(s->bytes, s->len);
}

/* xorshift64* (Vigna, 2016) */
static uint64_t draw(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * 0x2545f4914f6cdd1dULL;
}

/* Bytes changed, dropped, doubled, cut, or replaced altogether. */
static size_t bend(uint64_t *random, const struct seed *seed, uint8_t out[MOST])
{
    static const char likely[] = "\0\"\\{}[]:,0123456789-+.eEuTZtrulfasn \n\x1e\x7f\x80\xc0\xd8\xed\xf4\xff";
    size_t len = seed->len < MOST / 2 ? seed->len : MOST / 2;
    memcpy(out, seed->bytes, len);
    if (draw(random) % 16 == 0)
        for (len = draw(random) % 40; len && draw(random) % 64;)
            out[draw(random) % len] = (uint8_t)draw(random);
    for (uint64_t n = draw(random) % 4; n && len && len < MOST - 8; n--) {
        size_t at = draw(random) % len;
        switch (draw(random) % 5) {
        case 0: out[at] = (uint8_t)likely[draw(random) % (sizeof likely - 1)]; break;
        case 1: out[at] = (uint8_t)draw(random); break;
        case 2: memmove(out + at, out + at + 1, --len - at); break;
        case 3: memmove(out + at + 1, out + at, len++ - at); break;
        default: len = at; break;
        }
    }
    return len;
}

static void test_bent(void **state)
{
    uint64_t random = 0x9e3779b97f4a7c15ULL;
    uint8_t bent[MOST] = {0};
    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        run(bent, bend(&random, &seeds[i % seed_count], bent));
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[FILES_MOST + 1];
    char pattern[256];
    glob_t found = {0};
    const char *name = strstr(argv[0], "fuzz_");
    CHECK(name);
    snprintf(pattern, sizeof pattern, "tests/fuzz/corpus/%s/*", name + 5);
    CHECK(argc > 1 || !glob(pattern, 0, NULL, &found)); /* run from the top of the checkout */
    char **paths = argc > 1 ? argv + 1 : found.gl_pathv;
    int count = argc > 1 ? argc - 1 : (int)found.gl_pathc;
    for (int i = 0; i < count; i++) {
        read_seed(paths[i]);
        tests[i] = (struct CMUnitTest){strrchr(paths[i], '/') + 1, test_file, NULL, NULL, &seeds[i]};
    }
    tests[count] = (struct CMUnitTest){"bent", test_bent, NULL, NULL, NULL};
    int failed = _cmocka_run_group_tests(name, tests, (size_t)count + 1, NULL, NULL);
    for (int i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    globfree(&found);
    return failed;
}
