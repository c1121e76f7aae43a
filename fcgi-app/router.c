/* Matching is a walk down the table: some eighty comparisons of short strings cost less than one
 * header does. */
#include "fcgi-app/router.h"

#include "shared/token_store.h"

#include <string.h>

static const char *const method_names[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
enum { METHODS = sizeof method_names / sizeof *method_names };

unsigned method_parse(const char *name)
{
    if (!strcmp(name, "HEAD"))
        return GET;
    for (int i = 0; i < METHODS; i++)
        if (!strcmp(name, method_names[i]))
            return 1u << i;
    return 0;
}

const char *methods_text(unsigned methods, struct arena *a)
{
    const char *text = "";
    for (int i = 0; i < METHODS; i++)
        if (methods & 1u << i)
            text = arena_printf(a, "%s%s, %s", text, method_names[i], i ? "" : "HEAD, ");
    return arena_printf(a, "%sOPTIONS", text);
}

/* ---- matching ---- */

/* What the segments in braces stand for, and how many of them were filled in so far. */
static bool typed_segment(const char *type, size_t len, const char *segment, struct match *m, int *refs)
{
    if (len == 6 && !strncmp(type, "{uuid}", len))
        return id_parse_uuid(segment, &m->refs[(*refs)++]);
    if (len == 5 && !strncmp(type, "{int}", len))
        return id_parse_integer(segment, &m->refs[(*refs)++]);
    m->name = segment; /* {name} */
    return *segment;
}

static bool pattern_matches(const char *pattern, const struct target *t, struct match *m)
{
    int refs = 0;
    for (int i = 0; i < t->segment_count; i++) {
        if (*pattern++ != '/')
            return false;
        size_t len = strcspn(pattern, "/");
        const char *segment = t->segments[i];
        if (*pattern == '{' ? !typed_segment(pattern, len, segment, m, &refs)
                            : strncmp(pattern, segment, len) || segment[len])
            return false;
        pattern += len;
    }
    return !*pattern;
}

enum error router_match(const struct route *table, int count, unsigned method, const struct target *target,
                        struct match *out)
{
    *out = (struct match){0};
    for (int i = 0; i < count; i++) {
        struct match m = {.route = &table[i]};
        if (!pattern_matches(table[i].pattern, target, &m))
            continue;
        m.methods = out->methods | table[i].method;
        if (!out->route && table[i].method == method)
            *out = m;
        out->methods = m.methods;
    }
    if (out->route)
        return OK;
    return out->methods ? ERR_METHOD : ERR_NOT_FOUND;
}

/* ---- guards ---- */

/* What a token limited to one conversation may touch. */
static enum error check_room(struct request *req, unsigned guards)
{
    int64_t room = req->me.conversation_id;
    if (!room || guards & NARROWS || (guards & ROOM && req->refs[0].id == room))
        return OK;
    return guards & MESSAGE ? token_message(req->db, &req->refs[0], room) : ERR_INSUFFICIENT_SCOPE;
}

/* May this token do that? The one place where REST asks. */
static enum error check_scope(struct request *req, unsigned guards)
{
    unsigned needed = guards & READ    ? SCOPE_READ
                      : guards & SEND  ? SCOPE_SEND
                      : guards & ADMIN ? SCOPE_ADMIN
                                       : SCOPE_LOGIN;
    return req->me.scopes & needed ? check_room(req, guards) : ERR_INSUFFICIENT_SCOPE;
}

static enum error check_session(struct request *req)
{
    return session_user(req->db, &req->arena, req->me.session_id, req->me.user_id, &req->user);
}

static enum error authenticate(struct request *req, unsigned guards)
{
    if (!(guards & (AUTH | AUTH_TOKEN)))
        return OK;
    enum error e = request_token(req);
    if (e == OK && guards & AUTH)
        e = check_session(req);
    if (e == OK && (e = check_scope(req, guards)) == ERR_INSUFFICIENT_SCOPE && guards & AUTH_TOKEN) {
        e = check_session(req); /* what it may not do is told to good tokens alone */
        e = e == OK ? ERR_INSUFFICIENT_SCOPE : e;
    }
    return e;
}

static enum error handle(struct request *req, struct reply *out)
{
    unsigned guards = req->route->guards;
    enum error e = authenticate(req, guards);
    if (e == OK)
        e = target_parse_query(&req->target, &req->arena, &req->body);
    if (e == OK && guards & BODY)
        e = request_body(req, guards & FORM);
    if (e == OK)
        e = req->route->handle(req, out);
    /* A handler that looked at the session itself cannot tell a revoked one from a disabled user. */
    if (e == ERR_UNAUTHORIZED && guards & AUTH_TOKEN && req->me.session_id) {
        e = check_session(req);
        e = e == OK ? ERR_UNAUTHORIZED : e;
    }
    return e;
}

static enum error serve(struct request *req, struct reply *out)
{
    struct match m = {0};
    int count;
    const struct route *table = routes(&count);
    const char *address = request_variable(req, "REQUEST_URI");
    enum error e = target_parse(&req->target, &req->arena, address ? address : "");
    if (e == OK)
        e = router_match(table, count, method_parse(req->method), &req->target, &m);
    if (e == ERR_METHOD)
        out->methods = m.methods;
    if (e == ERR_METHOD && !strcmp(req->method, "OPTIONS")) {
        out->preflight = request_variable(req, "HTTP_ACCESS_CONTROL_REQUEST_METHOD") != NULL;
        reply_empty(out);
        return OK;
    }
    if (e != OK)
        return e;
    req->route = m.route;
    memcpy(req->refs, m.refs, sizeof req->refs);
    req->name = m.name;
    return handle(req, out);
}

void router_serve(struct request *req, struct reply *out)
{
    enum error e = serve(req, out);
    if (e != OK)
        reply_error(out, e, input_sentence(&req->body, e));
}

/* ---- the table, for metrics */

static const char *name_method(int i)
{
    int count;
    return method_names[__builtin_ctz(routes(&count)[i].method)];
}

static const char *name_pattern(int i)
{
    int count;
    return routes(&count)[i].pattern;
}

const struct metric_routes *router_names(void)
{
    static struct metric_routes names = {0, name_method, name_pattern};
    routes(&names.count);
    return &names;
}

int router_number(const struct route *route)
{
    int count;
    const struct route *table = routes(&count);
    return route ? (int)(route - table) : count;
}

/* ---- the table, for people and for the tests of the documents ---- */

void router_print(FILE *out)
{
    static const char *const guard_names[] = {"AUTH", "AUTH_TOKEN", "BODY", "FORM",    "READ",
                                              "SEND", "ADMIN",      "ROOM", "MESSAGE", "NARROWS"};
    int count;
    const struct route *table = routes(&count);
    for (int i = 0; i < count; i++) {
        const char *separator = "";
        fprintf(out, "%s %s ", method_names[__builtin_ctz(table[i].method)], table[i].pattern);
        for (unsigned g = 0; g < sizeof guard_names / sizeof *guard_names; g++)
            if (table[i].guards & 1u << g) {
                fprintf(out, "%s%s", separator, guard_names[g]);
                separator = "|";
            }
        fprintf(out, "%s %s\n", *separator ? "" : "-", dialect_name(table[i].dialect));
    }
}
