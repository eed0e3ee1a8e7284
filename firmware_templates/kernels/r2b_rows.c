// SPDX-License-Identifier: MIT-0
//
// r2b_rows.c: kernels that compute a part of their rows: as tasks, and two of which one reads the map that the other
// makes. See r2b_kernels.h.
#include <string.h>

#include "r2b_kernels.h"

// The part of a kernel that makes the output rows first..last - 1. Its input is set by the caller.
R2B_HOT_CODE static r2b_part part_of(const r2b_window *whole, int32_t first, int32_t last) {
    const int32_t origin = first * whole->stride_y - whole->pad_top;
    const int32_t end = (last - 1) * whole->stride_y - whole->pad_top + (whole->kernel_y - 1) * whole->dilation_y + 1;
    const int32_t top = origin > 0 ? origin : 0;
    const int32_t bottom = end < whole->in_height ? end : whole->in_height;
    return (r2b_part){
        .in_height = bottom - top,
        .out_height = last - first,
        .pad_top = top - origin,
        .skipped = top,
    };
}

typedef struct {
    const r2b_parts *parts;
    r2b_part_run run;
    uint8_t *arena;
} rows_job;

R2B_HOT_CODE static void rows_task(void *context, uint32_t index) {
    const rows_job *const job = context;
    const r2b_parts *const parts = job->parts;
    const r2b_window *const g = &parts->window;
    const int32_t task = (int32_t)index;
    const int32_t first = r2b_share(g->out_height, parts->tasks, task);
    r2b_part part = part_of(g, first, r2b_share(g->out_height, parts->tasks, task + 1));
    part.input = parts->input + (uint32_t)part.skipped * parts->input_row;
    part.first = first * g->out_width;
    part.more = 1;
    part.task = (uint16_t)task;
    job->run(&part, job->arena, NULL);
}

void r2b_in_parts(const r2b_parts *parts, r2b_part_run run, uint8_t *arena, const r2b_parallel *parallel) {
    rows_job job = {parts, run, arena};
    r2b_for_all(parallel, rows_task, &job, (uint32_t)parts->tasks);
}

typedef struct {
    const r2b_rows *rows;
    r2b_part_run make;
    r2b_part_run read;
    uint8_t *arena;
    const r2b_parallel *parallel;  // for what a task does, null where there are several
} pair_job;

// Rows of the reader that can be read: from y on, out of the buffer at `at`, whose first row is row `begin` of the map.
typedef struct {
    const pair_job *job;
    int32_t task;
    int32_t first;  // of the task
    int32_t y;
    uint32_t at;
    int32_t begin;
} ready;

R2B_HOT_CODE static void read_task(void *context, uint32_t index) {
    const ready *const r = context;
    const r2b_rows *const rows = r->job->rows;
    const int32_t y = r->y + (int32_t)index;
    r2b_part part = part_of(&rows->reader, y, y + 1);
    part.input = r->at + (uint32_t)(part.skipped - r->begin) * rows->buffer_row;
    part.first = y * rows->reader.out_width;
    part.more = rows->tasks > 1 || rows->readers > 1 || y + 1 < rows->reader.out_height;
    part.begun = y >= r->first + rows->readers;
    part.task = (uint16_t)(rows->readers > 1 ? y % rows->readers : r->task);
    r->job->read(&part, r->job->arena, rows->readers > 1 ? NULL : r->job->parallel);
}

// What is above a task's first row it makes itself, though the task before has made it as well.
R2B_HOT_CODE static void pair_task(void *context, uint32_t index) {
    const pair_job *const job = context;
    const r2b_rows *const rows = job->rows;
    const r2b_window *const maker = &rows->maker;
    const int32_t task = (int32_t)index;
    const int32_t last = r2b_share(rows->reader.out_height, rows->tasks, task + 1);
    const int32_t before = task * rows->rows;  // in the buffers of other tasks
    ready r = {.job = job, .task = task, .first = r2b_share(rows->reader.out_height, rows->tasks, task)};
    r.at = rows->buffer + (uint32_t)before * rows->buffer_row;
    uint8_t *const buffer = job->arena + r.at;
    int32_t end = 0;  // the buffer holds the rows r.begin..end - 1 of the map

    for (int32_t y = r.first; y < last;) {
        const r2b_part next = part_of(&rows->reader, y, y + 1);
        const int32_t top = next.skipped;
        const int32_t bottom = top + next.in_height;
        if (end < bottom) {
            if (top < end) {
                memmove(buffer, buffer + (uint32_t)(top - r.begin) * rows->buffer_row,
                        (size_t)(end - top) * rows->buffer_row);
            } else {
                end = top;  // nobody reads the rows between
            }
            r.begin = top;
            int32_t until = end + (bottom - end + rows->at_once - 1) / rows->at_once * rows->at_once;
            if (until > maker->out_height) until = maker->out_height;
            r2b_part made = part_of(maker, end, until);
            made.input = rows->input + (uint32_t)made.skipped * rows->input_row;
            made.first = (before + end - r.begin) * maker->out_width;
            made.more = 1;
            made.task = (uint16_t)task;
            job->make(&made, job->arena, job->parallel);
            end = until;
        }
        r.y = y++;
        for (; y < last && y - r.y < rows->readers; y++) {
            const r2b_part more = part_of(&rows->reader, y, y + 1);
            if (more.skipped + more.in_height > end) break;
        }
        r2b_for_all(job->parallel, read_task, &r, (uint32_t)(y - r.y));
    }
}

void r2b_by_rows(const r2b_rows *rows, r2b_part_run make, r2b_part_run read, uint8_t *arena,
                 const r2b_parallel *parallel) {
    pair_job job = {rows, make, read, arena, rows->tasks == 1 ? parallel : NULL};
    r2b_for_all(parallel, pair_task, &job, (uint32_t)rows->tasks);
}
