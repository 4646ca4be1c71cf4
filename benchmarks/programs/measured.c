// SPDX-FileCopyrightText: nslab contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// measured FILE COMMAND...: runs the command, and writes to FILE the seconds that it took and the most memory, in KiB,
// that one of its processes held. It ends as the command ends.
//
// In C, and small, since the kernel counts for a process also what it was before its exec: a child of a big Python
// would never look smaller than that.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

int main(int count, char **words) {
    struct rusage used;
    int status;
    if (count < 3) {
        fprintf(stderr, "usage: measured FILE COMMAND...\n");
        return 2;
    }
    double began = now();
    pid_t child = fork();
    if (child == 0) {
        execvp(words[2], words + 2);
        perror(words[2]);
        _exit(127);
    }
    // With those of the children that the command itself has waited for.
    if (child < 0 || wait4(child, &status, 0, &used) != child) {
        perror("measured");
        return 1;
    }
    double took = now() - began;
    FILE *file = fopen(words[1], "w");
    if (!file || fprintf(file, "%.6f %ld\n", took, used.ru_maxrss) < 0 || fclose(file)) {
        perror(words[1]);
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
