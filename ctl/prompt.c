#include "ctl/prompt.h"

#include "shared/validate.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

/* One line of standard input without its end; false at the end of input or when it is too long. */
static bool read_line(char *out, size_t size)
{
    if (!fgets(out, (int)size, stdin))
        return false;
    size_t len = strcspn(out, "\r\n");
    bool whole = out[len] || len + 1 < size;
    out[len] = 0;
    return whole;
}

/* ISIG stays off too: an interrupt here would leave the terminal without echo. Ctrl-D gives up. */
static bool ask_hidden(const char *question, char out[PASSWORD_TEXT])
{
    struct termios before, quiet;
    if (tcgetattr(STDIN_FILENO, &before))
        return false;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* forgets what was typed: so before the question, not after */
    fputs(question, stderr);
    bool ok = read_line(out, PASSWORD_TEXT);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return ok;
}

bool prompt_password(struct ctl *c, char out[PASSWORD_TEXT], int *status)
{
    char again[PASSWORD_TEXT] = "";
    bool terminal = isatty(STDIN_FILENO), same = true;
    bool ok = terminal ? ask_hidden("Password: ", out) : read_line(out, PASSWORD_TEXT);
    if (ok && terminal) {
        ok = ask_hidden("Once more: ", again);
        same = !strcmp(out, again);
        OPENSSL_cleanse(again, sizeof again);
    }
    enum error e = ok ? validate_password((struct text){out, strlen(out)}) : OK;
    *status = EX_DATAERR;
    if (!ok)
        fail(c, EX_DATAERR, "a password is expected as the first line of standard input");
    else if (!same)
        fail(c, EX_DATAERR, "the two passwords differ");
    else if (e != OK)
        fail_error(c, e, NULL);
    return ok && same && e == OK;
}

bool prompt_sure(struct ctl *c, const char *question)
{
    char answer[16];
    if (!isatty(STDIN_FILENO)) {
        fail(c, EX_USAGE, "%s Say so with --yes.", question);
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    return read_line(answer, sizeof answer) && (*answer == 'y' || *answer == 'Y');
}
