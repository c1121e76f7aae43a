/* The key file: made once, whoever comes first, for its owner alone; never half understood. */
#include "shared/token.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static char dir[64], path[128];

static int make_directory(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/parley-keys-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/keys", dir);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails, and the test with it, when anything else was left there */
}

static bool load(struct caught *c, struct keyring *ring)
{
    stderr_catch(c);
    bool ok = keyring_load(ring, path);
    stderr_release(c);
    return ok;
}

static void write_file(const char *content)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static void test_a_missing_file_is_made_for_its_owner_alone(void **state)
{
    struct keyring first, second;
    struct caught c;
    struct stat st;
    (void)state;
    mode_t old = umask(0);
    bool ok = load(&c, &first);
    umask(old);
    assert_true(ok);
    assert_string_equal(c.text, ""); /* above all not the key */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(first.count, 1);
    assert_true(first.keys[0].len >= 32 && *first.keys[0].id);
    assert_true(load(&c, &second));
    assert_memory_equal(first.keys[0].secret, second.keys[0].secret, (size_t)first.keys[0].len);
    assert_string_equal(first.keys[0].id, second.keys[0].id);
}

static void test_two_made_files_hold_different_keys(void **state)
{
    struct keyring first, second;
    struct caught c;
    (void)state;
    assert_true(load(&c, &first));
    unlink(path);
    assert_true(load(&c, &second));
    assert_memory_not_equal(first.keys[0].secret, second.keys[0].secret, (size_t)first.keys[0].len);
    assert_string_not_equal(first.keys[0].id, second.keys[0].id);
}

static void test_the_order_of_the_lines_is_kept(void **state)
{
    struct keyring ring;
    struct caught c;
    (void)state;
    write_file("# keys\n\n  new\t" HEX64 "   # signs\r\nold " HEX64 HEX64 "\n");
    assert_true(load(&c, &ring));
    assert_int_equal(ring.count, 2);
    assert_string_equal(ring.keys[0].id, "new");
    assert_int_equal(ring.keys[0].len, 32);
    assert_int_equal(ring.keys[0].secret[1], 0x11);
    assert_int_equal(ring.keys[0].secret[31], 0xff);
    assert_string_equal(ring.keys[1].id, "old");
    assert_int_equal(ring.keys[1].len, 64);
}

static void test_malformed_files_are_refused_by_name_without_their_secrets(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "# nothing but a comment\n",
        "k\n",
        "k 00\n",
        "k " HEX64 " x\n",
        "k x" HEX64 "\n",
        "k " HEX64 "0\n",
        "k " HEX64 HEX64 "00\n",
        "k 0x" HEX64 "\n",
        "k = " HEX64 "\n",
        HEX64 "\n",
        "good " HEX64 "\nbad 1234\n",
        "abcdefghijklmnopqrstuvwxyz1234567 " HEX64 "\n",
        "k 0011223344556677889 9aabbccddeeff00112233445566778899aabbccddeeff\n",
    };
    struct keyring ring;
    struct caught c;
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        write_file(bad[i]);
        bool ok = load(&c, &ring);
        if (ok)
            print_error("%s\n", bad[i]);
        assert_false(ok);
        assert_non_null(strstr(c.text, path));
        assert_null(strstr(c.text, "00112233"));
    }
}

static void test_a_ring_holds_sixteen_keys(void **state)
{
    char content[4096] = "", line[128];
    struct keyring ring;
    struct caught c;
    (void)state;
    for (int i = 0; i < KEYS_MAX; i++) {
        snprintf(line, sizeof line, "k%d %s\n", i, HEX64);
        strcat(content, line);
    }
    write_file(content);
    assert_true(load(&c, &ring));
    assert_int_equal(ring.count, KEYS_MAX);
    assert_string_equal(ring.keys[15].id, "k15");
    strcat(content, "one-more " HEX64 "\n");
    write_file(content);
    assert_false(load(&c, &ring));
}

static void test_a_place_that_cannot_be_written_is_named(void **state)
{
    struct keyring ring;
    struct caught c;
    (void)state;
    stderr_catch(&c);
    bool ok = keyring_load(&ring, "/nonexistent/keys");
    stderr_release(&c);
    assert_false(ok);
    assert_non_null(strstr(c.text, "/nonexistent/keys: No such file or directory"));
}

/* What a child of the race does: waits for the gate, then tells which key it has. */
static void racer(int gate, int results)
{
    struct keyring ring = {0};
    char byte;
    ssize_t ignored = read(gate, &byte, 1); /* end of file opens it for all at once */
    (void)ignored;
    bool ok = keyring_load(&ring, path);
    ok = ok && write(results, ring.keys[0].id, sizeof ring.keys[0].id) == sizeof ring.keys[0].id;
    _exit(!ok);
}

static void test_processes_that_start_together_share_one_key(void **state)
{
    enum { ROUNDS = 20, RACERS = 4 };
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        int gate[2], results[2], status;
        char ids[RACERS][33];
        pid_t pids[RACERS];
        unlink(path);
        assert_int_equal(pipe(gate), 0);
        assert_int_equal(pipe(results), 0);
        for (int i = 0; i < RACERS; i++)
            if (!(pids[i] = fork())) {
                close(gate[1]);
                racer(gate[0], results[1]);
            }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_int_equal(status, 0);
            assert_int_equal(read(results[0], ids[i], sizeof ids[i]), sizeof ids[i]);
            assert_string_equal(ids[i], ids[0]);
        }
        close(results[0]);
        close(results[1]);
    }
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(test_a_missing_file_is_made_for_its_owner_alone),
        IN_A_DIRECTORY(test_two_made_files_hold_different_keys),
        IN_A_DIRECTORY(test_the_order_of_the_lines_is_kept),
        IN_A_DIRECTORY(test_malformed_files_are_refused_by_name_without_their_secrets),
        IN_A_DIRECTORY(test_a_ring_holds_sixteen_keys),
        IN_A_DIRECTORY(test_a_place_that_cannot_be_written_is_named),
        IN_A_DIRECTORY(test_processes_that_start_together_share_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
