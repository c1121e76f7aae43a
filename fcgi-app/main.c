/* fcgi-app: the REST workers. A pool on the listening socket its supervisor hands over, or finds as
 * standard input, or on FCGI_LISTEN; or one request as a CGI program. */
#include "fcgi-app/pool.h"
#include "fcgi-app/router.h"
#include "fcgi-app/worker.h"
#include "shared/listen.h"
#include "shared/metrics.h"
#include "shared/monitor.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* The descriptor of a socket that listens already, or -1. */
static int given_socket(const struct config *config)
{
    int fd = listen_handed_over();
    return fd < 0 && !*config->fcgi_listen && listen_inherited(STDIN_FILENO) ? STDIN_FILENO : fd;
}

/* Everything that can be wrong with an installation stops the start here, before the first request. A
 * database that is away is nothing of the kind: requests are told so. */
static int serve(struct app *app)
{
    int fd = given_socket(app->config);
    bool pool = fd >= 0 || *app->config->fcgi_listen;
    if (!pool && !getenv("REQUEST_METHOD")) {
        fputs("no listening socket was handed over, FCGI_LISTEN is not set, standard input is no listening "
              "socket, and this is no CGI request\n",
              stderr);
        return EX_CONFIG;
    }
    if (!keyring_load(&app->keys, app->config->key_file))
        return EX_CONFIG;
    if (!pool) {
        worker_cgi(app);
        return 0;
    }
    struct monitor monitor = {.ready = monitor_database};
    metrics_start(POOL, router_names());
    monitor_open(&monitor, app->config);
    enum error e = db_check(&app->db, app->config->fcgi_workers, DB_PATIENCE_MS);
    db_release(&app->db); /* each worker has a connection of its own */
    if (e == ERR_INTERNAL)
        return EX_CONFIG;
    if (fd < 0)
        fd = listen_open(app->config->fcgi_listen, "FCGI_LISTEN");
    if (fd < 0)
        return EX_CONFIG;
    return pool_run(app, fd, &monitor, e == OK) ? 0 : EX_CONFIG;
}

/* A web server makes arguments of a CGI request's query (RFC 3875, 4.4), so they are a stranger's and
 * are not looked at; the file of settings is named by the environment instead. */
static enum config_result load_for_cgi(char *program, struct config *config)
{
    char option[] = "--config", *path = getenv("PARLEY_CONFIG");
    char *argv[] = {program, option, path, NULL};
    bool check_sql;
    return config_load("fcgi-app", path ? 3 : 1, argv, config, &check_sql);
}

int main(int argc, char **argv)
{
    struct config config;
    struct app app = {.config = &config};
    bool check_sql = false, cgi = getenv("GATEWAY_INTERFACE");
    if (cgi)
        argc = 1;
    if (argc == 2 && !strcmp(argv[1], "--routes")) {
        router_print(stdout);
        return 0;
    }
    enum config_result result = cgi ? load_for_cgi(argv[0], &config)
                                    : config_load("fcgi-app", argc, argv, &config, &check_sql);
    if (result != CONFIG_OK)
        return result == CONFIG_BAD ? EX_CONFIG : 0;
    db_init(&app.db, &config);
    int status = check_sql ? !db_check_sql(&app.db) : serve(&app);
    db_release(&app.db);
    return status;
}
