// SPDX-License-Identifier: MIT-0
//
// Runs a kernel in assembly with each of its buffers at the very end, then at the very beginning, of pages that have
// forbidden ones around them: whatever it reads or writes beside them ends the program by a signal.
//
// From standard input, one layer a line: the kernel (0 bconv_neon, 1 fconv_neon, 2 dense_neon, 3 and 4 the last two in
// half precision, 5 fconv_winograd_neon, 6 maxpool_neon), the 14 members of r2b_window in order, pad_value, the tasks
// over rows and channels, or over outputs and 1, and the bytes of the input, the weights, the border's counts (0: there
// are none) or the bias, the workspace, and the output. A dense layer has its channels in the window. Prints the number
// of layers.
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "r2b_kernels.h"

enum { BUFFERS = 5, INPUT = 0, WEIGHTS, BORDER, WORK, OUTPUT, PAGE = 65536, ROOM = 64 * PAGE };

// `bytes` at one end of readable pages, in the part of the arena that is for buffer `index`.
static uint32_t place(uint8_t *arena, int index, uint32_t bytes, int at_end) {
    const uint32_t start = (uint32_t)(index * (ROOM + PAGE) + PAGE);
    const uint32_t pages = (bytes + PAGE - 1) / PAGE * PAGE;
    if (pages == 0) return start;
    if (pages > ROOM || mprotect(arena + start, pages, PROT_READ | PROT_WRITE) != 0) abort();
    memset(arena + start, 0x5a, pages);
    return at_end ? start + pages - bytes : start;
}

static void run(int32_t kernel, const r2b_window *w, int32_t pad_value, const int32_t *tasks, uint8_t *arena,
                const uint32_t *at, int has_border, const r2b_epilogue *epilogue) {
    const void *const weights = arena + at[WEIGHTS];
    const void *const border = arena + at[BORDER];
    if (kernel == 0) {
        r2b_bconv_neon(&(r2b_bconv_blocks){.window = *w,
                                           .pad_value = pad_value,
                                           .row_tasks = tasks[0],
                                           .channel_tasks = tasks[1],
                                           .weights = (const uint32_t *)weights,
                                           .border = has_border ? (const uint32_t *)border : NULL,
                                           .input = at[INPUT],
                                           .work = at[WORK]},
                       epilogue, arena, NULL);
    } else if (kernel == 1 || kernel == 3) {
        const r2b_fconv_blocks layer = {*w, weights, (const float *)border, NULL, NULL, 1, at[INPUT], at[WORK]};
        (kernel == 1 ? r2b_fconv_neon : r2b_fconv_neon_half)(&layer, epilogue, arena, NULL);
    } else if (kernel == 5) {
        const r2b_fconv_blocks layer = {*w, weights, (const float *)border, NULL, NULL, tasks[0], at[INPUT], at[WORK]};
        r2b_fconv_winograd_neon(&layer, epilogue, arena, NULL);
    } else if (kernel == 6) {
        const r2b_pool layer = {*w, 0, 0, 0, at[INPUT], at[WORK]};
        r2b_maxpool_neon(&layer, epilogue, arena, NULL);
    } else {
        const r2b_dense layer = {w->in_channels, w->out_channels, weights, (const float *)border,
                                 tasks[0],       at[INPUT],       at[WORK]};
        (kernel == 2 ? r2b_dense_neon : r2b_dense_neon_half)(&layer, epilogue, arena, NULL);
    }
}

int main(void) {
    const size_t size = BUFFERS * (ROOM + PAGE) + PAGE;
    r2b_window w;
    int32_t kernel, pad_value, tasks[2];
    uint32_t bytes[BUFFERS];
    int layers = 0;
    while (scanf("%d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %u %u %u %u %u", &kernel, &w.in_height,
                 &w.in_width, &w.in_channels, &w.out_height, &w.out_width, &w.out_channels, &w.kernel_y, &w.kernel_x,
                 &w.stride_y, &w.stride_x, &w.dilation_y, &w.dilation_x, &w.pad_top, &w.pad_left, &pad_value, &tasks[0],
                 &tasks[1], &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4]) == 23) {
        for (int at_end = 0; at_end < 2; at_end++) {
            uint8_t *const arena = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            uint32_t at[BUFFERS];
            if (arena == MAP_FAILED) abort();
            for (int i = 0; i < BUFFERS; i++) at[i] = place(arena, i, bytes[i], at_end);
            const r2b_tile_op store = {.kind = R2B_TILE_STORE, .at = at[OUTPUT]};
            const r2b_epilogue epilogue = {&store, 1, w.out_height * w.out_width, w.out_channels, 0, 0, 0, 0};
            run(kernel, &w, pad_value, tasks, arena, at, bytes[BORDER] != 0, &epilogue);
            if (munmap(arena, size) != 0) abort();
        }
        layers++;
    }
    (void)printf("%d\n", layers);
    return 0;
}
