// SPDX-License-Identifier: MIT-0
//
// pool_linux.c: see pool.h.
#define _POSIX_C_SOURCE 200809L

#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    r2b_parallel parallel;
    pthread_mutex_t lock;  // of all that follows but `workers`, and of `task`, `context` and `count` between rounds
    pthread_cond_t begin;  // round, or ending
    pthread_cond_t done;   // busy is 0
    uint32_t round;
    uint32_t busy;  // workers that have not finished the round
    bool running;
    bool ending;
    r2b_task task;
    void *context;
    uint32_t count;
    struct worker *workers;  // of threads 1..threads - 1
} pool;

typedef struct worker {
    pool *pool;
    pthread_t thread;
    uint32_t number;
} worker;

static void run_share(const pool *p, uint32_t thread) {
    for (uint32_t i = thread; i < p->count; i += p->parallel.threads) p->task(p->context, i);
}

static void *work(void *argument) {
    const worker *const me = argument;
    pool *const p = me->pool;
    uint32_t seen = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->round == seen && !p->ending) (void)pthread_cond_wait(&p->begin, &p->lock);
        if (p->ending) break;
        seen = p->round;
        if (me->number >= p->count) continue;  // nobody waits for it
        (void)pthread_mutex_unlock(&p->lock);
        run_share(p, me->number);
        (void)pthread_mutex_lock(&p->lock);
        if (--p->busy == 0) (void)pthread_cond_signal(&p->done);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void run(void *context, r2b_task task, void *task_context, uint32_t count) {
    pool *const p = context;
    const uint32_t threads = p->parallel.threads;
    (void)pthread_mutex_lock(&p->lock);
    if (p->running) {
        (void)fprintf(stderr, "r2b_pool: a task, or a second thread, asks for tasks while some are running\n");
        abort();
    }
    p->running = true;
    p->task = task;
    p->context = task_context;
    p->count = count;
    p->busy = count < threads ? count : threads;
    p->busy -= p->busy > 0;  // the caller
    if (p->busy > 0) {
        p->round++;
        (void)pthread_cond_broadcast(&p->begin);
    }
    (void)pthread_mutex_unlock(&p->lock);
    run_share(p, 0);
    (void)pthread_mutex_lock(&p->lock);
    while (p->busy > 0) (void)pthread_cond_wait(&p->done, &p->lock);
    p->running = false;
    (void)pthread_mutex_unlock(&p->lock);
}

static void end_workers(pool *p, uint32_t count) {
    (void)pthread_mutex_lock(&p->lock);
    p->ending = true;
    (void)pthread_cond_broadcast(&p->begin);
    (void)pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < count; i++) (void)pthread_join(p->workers[i].thread, NULL);
    (void)pthread_cond_destroy(&p->done);
    (void)pthread_cond_destroy(&p->begin);
    (void)pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

const r2b_parallel *r2b_pool_open(uint32_t threads) {
    if (threads == 0) return NULL;
    pool *const p = calloc(1, sizeof *p);
    worker *const workers = calloc(threads, sizeof *workers);
    if (p == NULL || workers == NULL || pthread_mutex_init(&p->lock, NULL) != 0 ||
        pthread_cond_init(&p->begin, NULL) != 0 || pthread_cond_init(&p->done, NULL) != 0) {
        free(workers);
        free(p);
        return NULL;
    }
    p->workers = workers;
    p->parallel = (r2b_parallel){.pool = p, .threads = threads, .run = run};
    for (uint32_t i = 0; i + 1 < threads; i++) {
        workers[i] = (worker){.pool = p, .number = i + 1};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            end_workers(p, i);
            return NULL;
        }
    }
    return &p->parallel;
}

void r2b_pool_close(const r2b_parallel *pool_or_null) {
    if (pool_or_null != NULL) end_workers(pool_or_null->pool, pool_or_null->threads - 1);
}
