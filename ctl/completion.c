/* parleyctl completion: a script for bash, made from the table of commands. */
#include "ctl/command.h"
#include "ctl/commands.h"

#include <string.h>
#include <sysexits.h>

static void print_options(const struct option *o)
{
    for (; o && o->name; o++)
        printf("--%s ", o->name);
}

/* The first words, each once: commands with a common first word stand together in the table. */
static void print_first_words(void)
{
    const char *last = "";
    for (const struct command *k = commands; k->name; k++) {
        size_t len = strcspn(k->name, " ");
        if (strncmp(last, k->name, len) || last[len] != ' ')
            printf("%.*s ", (int)len, k->name);
        last = k->name;
    }
}

int cmd_completion(struct ctl *c)
{
    (void)c;
    fputs("# bash completion of parleyctl; made by `parleyctl completion`\n"
          "_parleyctl() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} words='' key\n"
          "    local -A second=() options=()\n", stdout);
    for (const struct command *k = commands; k->name; k++) {
        size_t len = strcspn(k->name, " ");
        if (k->name[len])
            printf("    second[%.*s]+='%s '\n", (int)len, k->name, k->name + len + 1);
        printf("    options['%s']='", k->name);
        print_options(k->options);
        puts("'");
    }
    fputs("    key=\"${COMP_WORDS[1]:-} ${COMP_WORDS[2]:-}\"\n"
          "    [ -n \"${options[$key]+x}\" ] || key=${COMP_WORDS[1]:-}\n"
          "    if [[ $cur == -* ]]; then words=\"${options[$key]:-} ", stdout);
    print_options(common_options);
    fputs("\"\n"
          "    elif [ \"$COMP_CWORD\" = 1 ]; then words='", stdout);
    print_first_words();
    fputs("'\n"
          "    elif [ \"$COMP_CWORD\" = 2 ]; then words=${second[${COMP_WORDS[1]}]:-}\n"
          "    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -o default -F _parleyctl parleyctl\n", stdout);
    return EX_OK;
}
