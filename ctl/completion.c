/* parleyctl completion: a script for bash, made from the table of commands. */
#include "ctl/command.h"
#include "ctl/commands.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void print_options(const struct option *o, FILE *to)
{
    for (; o && o->name; o++)
        fprintf(to, "--%s ", o->name);
}

/* The first words, each once: commands with a common first word stand together in the table. */
static void print_first_words(FILE *to)
{
    const char *last = "";
    for (const struct command *k = commands; k->name; k++) {
        size_t len = strcspn(k->name, " ");
        if (strncmp(last, k->name, len) || last[len] != ' ')
            fprintf(to, "%.*s ", (int)len, k->name);
        last = k->name;
    }
}

static void print_script(FILE *to)
{
    fputs("# bash completion of parleyctl; made by `parleyctl completion`\n"
          "_parleyctl() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} words='' key\n"
          "    local -A second=() options=()\n",
          to);
    for (const struct command *k = commands; k->name; k++) {
        size_t len = strcspn(k->name, " ");
        if (k->name[len])
            fprintf(to, "    second[%.*s]+='%s '\n", (int)len, k->name, k->name + len + 1);
        fprintf(to, "    options['%s']='", k->name);
        print_options(k->options, to);
        fputs("'\n", to);
    }
    fputs("    key=\"${COMP_WORDS[1]:-} ${COMP_WORDS[2]:-}\"\n"
          "    [ -n \"${options[$key]+x}\" ] || key=${COMP_WORDS[1]:-}\n"
          "    if [[ $cur == -* ]]; then words=\"${options[$key]:-} ",
          to);
    print_options(common_options, to);
    fputs("\"\n"
          "    elif [ \"$COMP_CWORD\" = 1 ]; then words='",
          to);
    print_first_words(to);
    fputs("'\n"
          "    elif [ \"$COMP_CWORD\" = 2 ]; then words=${second[${COMP_WORDS[1]}]:-}\n"
          "    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -o default -F _parleyctl parleyctl\n",
          to);
}

int cmd_completion(struct ctl *c)
{
    char *script = NULL;
    size_t len;
    FILE *to = open_memstream(&script, &len);
    if (!to)
        return fail(c, EX_OSERR, "out of memory");
    print_script(to);
    fclose(to);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "script", json_object_new_string(script));
    output_done(&c->out, o, "%s", script);
    free(script);
    return EX_OK;
}
