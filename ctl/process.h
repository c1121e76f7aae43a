/* Parley's programs that run on this machine, found through /proc. */
#ifndef PARLEY_PROCESS_H
#define PARLEY_PROCESS_H

#include "shared/arena.h"

#include <stdbool.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    pid_t parent;
    const char *name; /* of the program's file */
};

enum { PROCESSES_MOST = 256 };

/* The processes of a program (its file's name); with config only those whose command line names that
 * settings file. Answers how many were put into out, at most PROCESSES_MOST. */
int process_find(struct arena *a, const char *program, const char *config, struct process *out);
/* Leaves those that are not a child of another of them: of a pool the parent. Answers how many. */
int process_parents(struct process *list, int count);

/* A variable of the environment the process was started with; NULL: it has none, or we may not look. */
const char *process_variable(struct arena *a, pid_t pid, const char *name);

/* Does the process have this socket (an inode) open? */
bool process_has_socket(pid_t pid, unsigned long inode);
/* Soft limit of open files, -1 when it cannot be read; how many are open now, likewise. */
long process_files_most(pid_t pid);
long process_files_open(pid_t pid);

#endif
