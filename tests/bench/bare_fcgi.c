/*
 * bare_fcgi.c - the least a FastCGI worker can do and still store something durably.
 *
 * A prefork pool, one libpq connection each; a request's body goes into one row of the scratch
 * table by a prepared INSERT, committed before the 201. No routing, no token, no validation: what
 * Parley's pool is measured against, behind the same nginx configuration and in the same PostgreSQL
 * cluster.
 */
#include <fcgiapp.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSERT_SQL "INSERT INTO bench.sends (sender_id, recipient_id, content) VALUES (1, 2, $1) RETURNING id"

static void require(PGconn *db, PGresult *r, ExecStatusType want)
{
    if (PQresultStatus(r) != want) {
        fprintf(stderr, "bare_fcgi: %s", PQerrorMessage(db));
        exit(1);
    }
}

static void answer(FCGX_Request *req, PGconn *db)
{
    char body[16384];
    int n = FCGX_GetStr(body, sizeof(body) - 1, req->in);
    const char *params[] = {body};
    PGresult *r;

    body[n > 0 ? n : 0] = '\0';
    r = PQexecPrepared(db, "insert", 1, params, NULL, NULL, 0);
    require(db, r, PGRES_TUPLES_OK);
    n = snprintf(body, sizeof(body), "{\"id\":%s}", PQgetvalue(r, 0, 0));
    FCGX_FPrintF(req->out,
                 "Status: 201 Created\r\nContent-Type: application/json\r\n"
                 "Content-Length: %d\r\n\r\n%s",
                 n, body);
    PQclear(r);
}

static void worker(int listener, const char *conninfo)
{
    PGconn *db = PQconnectdb(conninfo);
    PGresult *r = PQprepare(db, "insert", INSERT_SQL, 0, NULL);
    FCGX_Request req;

    require(db, r, PGRES_COMMAND_OK);
    PQclear(r);
    FCGX_InitRequest(&req, listener, 0);
    while (FCGX_Accept_r(&req) == 0) {
        answer(&req, db);
        FCGX_Finish_r(&req);
    }
    exit(0);
}

int main(int argc, char **argv)
{
    sigset_t term;
    int listener, caught;

    if (argc != 4) {
        fprintf(stderr, "usage: bare_fcgi SOCKET WORKERS CONNINFO\n");
        return 2;
    }
    FCGX_Init();
    listener = FCGX_OpenSocket(argv[1], 1024);
    if (listener < 0 || chmod(argv[1], 0666) < 0) {
        perror(argv[1]);
        return 1;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    for (int i = 0; i < atoi(argv[2]); i++) {
        if (fork() == 0) {
            sigprocmask(SIG_UNBLOCK, &term, NULL);
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            worker(listener, argv[3]);
        }
    }
    sigwait(&term, &caught);
    signal(SIGTERM, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &term, NULL);
    kill(0, SIGTERM); /* bare.py gave us a process group of our own */
    while (wait(NULL) > 0)
        ;
    return 0;
}
