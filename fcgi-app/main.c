/* fcgi-app: the REST workers. A pool on FCGI_LISTEN, or on the listening socket it finds as standard
 * input, or one request as a CGI program. */
#include "fcgi-app/listen.h"
#include "fcgi-app/pool.h"
#include "fcgi-app/router.h"
#include "fcgi-app/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Everything that can be wrong with an installation stops the start here, before the first request. */
static int serve(struct app *app)
{
    bool inherited = !*app->config->fcgi_listen && listen_inherited(STDIN_FILENO);
    bool pool = inherited || *app->config->fcgi_listen;
    if (!pool && !getenv("REQUEST_METHOD")) {
        fputs("FCGI_LISTEN is not set, and standard input is no listening socket, and this is no CGI "
              "request\n", stderr);
        return EX_CONFIG;
    }
    if (!keyring_load(&app->keys, app->config->key_file))
        return EX_CONFIG;
    if (!pool) {
        worker_cgi(app);
        return 0;
    }
    if (!db_schema_matches(&app->db, true))
        return EX_CONFIG;
    db_release(&app->db); /* each worker has a connection of its own */
    int fd = inherited ? STDIN_FILENO : listen_open(app->config->fcgi_listen);
    if (fd < 0)
        return EX_CONFIG;
    pool_run(app, fd);
    return 0;
}

int main(int argc, char **argv)
{
    struct config config;
    struct app app = {.config = &config};
    bool check_sql = false;
    if (argc == 2 && !strcmp(argv[1], "--routes")) {
        router_print(stdout);
        return 0;
    }
    enum config_result result = config_load("fcgi-app", argc, argv, &config, &check_sql);
    if (result != CONFIG_OK)
        return result == CONFIG_BAD ? EX_CONFIG : 0;
    db_init(&app.db, &config);
    int status = check_sql ? !db_check_sql(&app.db) : serve(&app);
    db_release(&app.db);
    return status;
}
