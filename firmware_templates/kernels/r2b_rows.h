// SPDX-License-Identifier: MIT-0
//
// r2b_rows.h: windows, and how the rows of a map are shared out: to tasks, or to two kernels by turns.
#ifndef R2B_ROWS_H
#define R2B_ROWS_H

#include "r2b_epilogue.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- windows -------------------------------------------------------------------------------------------------------

// A window that slides over a map. Output pixel (y, x) reads input pixels
// (y * stride_y - pad_top + ky * dilation_y, x * stride_x - pad_left + kx * dilation_x).
typedef struct {
    int32_t in_height;
    int32_t in_width;
    int32_t in_channels;
    int32_t out_height;
    int32_t out_width;
    int32_t out_channels;
    int32_t kernel_y;
    int32_t kernel_x;
    int32_t stride_y;
    int32_t stride_x;
    int32_t dilation_y;
    int32_t dilation_x;
    int32_t pad_top;
    int32_t pad_left;
} r2b_window;

// The taps first <= k < last of one axis whose inputs origin + k * dilation lie in 0..size - 1.
typedef struct {
    int32_t first;
    int32_t last;
} r2b_taps;

static inline r2b_taps r2b_taps_inside(int32_t origin, int32_t size, int32_t kernel, int32_t dilation) {
    r2b_taps taps = {0, 0};
    if (origin < 0) taps.first = (dilation - 1 - origin) / dilation;
    if (origin < size) taps.last = (size - origin + dilation - 1) / dilation;
    if (taps.last > kernel) taps.last = kernel;
    if (taps.first > taps.last) taps.first = taps.last;
    return taps;
}

// How many sums a loop carries at once: what GCC 12 keeps in registers, 32 where they are vectors (16 it unrolls too
// early and takes apart), 8 on a Cortex-M.
#ifdef __thumb__
enum { R2B_SUMS = 8 };
#else
enum { R2B_SUMS = 32 };
#endif

// a * b + sum, rounded once where the machine has the instruction (half the instructions), else twice.
static inline float r2b_multiply_add(float a, float b, float sum) {
#if defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, sum);
#else
    return a * b + sum;
#endif
}

// ---- tasks ---------------------------------------------------------------------------------------------------------

// Runs task(context, i) for each i < count, by `parallel` where there is one. Not to be called by a task.
static inline void r2b_for_all(const r2b_parallel *parallel, r2b_task task, void *context, uint32_t count) {
    if (parallel != NULL && count > 1) {
        parallel->run(parallel->pool, task, context, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) task(context, i);
}

// The first of a task's share of `all` rows or the like; it ends where the next task's begins. Shares differ by 1 at
// most, the first ones are larger.
static inline int32_t r2b_share(int32_t all, int32_t tasks, int32_t task) {
    const int32_t rest = all % tasks;
    return all / tasks * task + (task < rest ? task : rest);
}

// ---- rows ----------------------------------------------------------------------------------------------------------

// The output rows of a kernel that one call computes: what its window and its epilogue are then. A kernel that can be
// called so has a window and an input, and does all that it does to its output by the epilogue's functions.
typedef struct {
    uint32_t input;      // arena offset of the first row that it reads
    int32_t in_height;   // rows that it reads, or that lie between them
    int32_t out_height;  // rows that it computes
    int32_t pad_top;     // of these, 0 or more
    int32_t skipped;     // rows of the whole input before `input`
    int32_t first;       // of its epilogue
    uint8_t more;        //
    uint8_t begun;       //
    uint16_t task;       // of its epilogue; its workspace is the task's own
} r2b_part;

typedef void (*r2b_part_run)(const r2b_part *part, uint8_t *arena, const r2b_parallel *parallel);

typedef struct {
    r2b_window window;   // over the whole input
    uint32_t input;      //
    uint32_t input_row;  // bytes of a row of it
    int32_t tasks;
} r2b_parts;

// Runs a kernel in tasks, each of which computes its share of the rows. r2b_epilogue_join remains to be called. Each
// window has rows inside of the map, and there are no fewer rows than tasks.
R2B_HOT_CODE void r2b_in_parts(const r2b_parts *parts, r2b_part_run run, uint8_t *arena, const r2b_parallel *parallel);

typedef struct {
    r2b_window maker;     // over the maker's whole input
    r2b_window reader;    // over the maker's whole output, which is NHWC
    uint32_t input;       // the maker's
    uint32_t input_row;   // bytes of a row of it
    uint32_t buffer;      // of the rows that are there together, for each task
    uint32_t buffer_row;  // bytes of a row of it
    int32_t rows;         // of a task's buffer
    int32_t at_once;      // the maker makes its rows by so many, the last of the map aside
    int32_t tasks;        // each has its share of the reader's rows
    int32_t readers;      // with one task, how many rows of the reader are tasks where so many can be read; else 1
} r2b_rows;

// Runs two kernels so that the map between them is never whole in memory: for each row of the reader, first the maker
// for the rows that the buffer lacks. The maker's epilogue stores in the buffer and does nothing that depends on the
// pixel. Each window of both has rows inside of the map. With more than one task r2b_epilogue_join remains to be
// called.
R2B_HOT_CODE void r2b_by_rows(const r2b_rows *rows, r2b_part_run make, r2b_part_run read, uint8_t *arena,
                              const r2b_parallel *parallel);

#ifdef __cplusplus
}
#endif

#endif  // R2B_ROWS_H
