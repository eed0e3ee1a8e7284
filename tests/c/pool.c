// SPDX-License-Identifier: MIT-0
//
// Runs tasks in a pool. From standard input, a line each: threads, tasks, and how often. Prints for each line how many
// of the tasks ran once a round, and on how many threads. A line with more than 1000 tasks asks for tasks in a task.
#include "pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1000 };

typedef struct {
    const r2b_parallel *parallel;
    uint32_t ran[MOST];
    pthread_t by[MOST];
} job;

static void note(void *context, uint32_t index) {
    job *const j = context;
    j->ran[index]++;
    j->by[index] = pthread_self();
}

static void ask(void *context, uint32_t index) {
    job *const j = context;
    (void)index;
    j->parallel->run(j->parallel->pool, note, j, 2);
}

int main(void) {
    unsigned threads, count, rounds;
    while (scanf("%u %u %u", &threads, &count, &rounds) == 3) {
        static job j;
        j = (job){.parallel = r2b_pool_open(threads)};
        if (j.parallel == NULL) {
            (void)printf("none\n");
            continue;
        }
        if (count > MOST) j.parallel->run(j.parallel->pool, ask, &j, 2);
        for (unsigned round = 0; round < rounds; round++) j.parallel->run(j.parallel->pool, note, &j, count);
        unsigned right = 0, distinct = 0;
        for (unsigned i = 0; i < count; i++) {
            unsigned before = 0;
            while (before < i && !pthread_equal(j.by[before], j.by[i])) before++;
            distinct += before == i;
            right += j.ran[i] == rounds;
        }
        (void)printf("%u %u\n", right, distinct);
        r2b_pool_close(j.parallel);
    }
    return 0;
}
