// SPDX-License-Identifier: MIT-0
//
// r2b_rows.c: two kernels, of which one reads the map that the other makes, by rows. See r2b_kernels.h.
#include <string.h>

#include "r2b_kernels.h"

// The part of a kernel that makes the output rows first..last - 1. Its input is set by the caller.
static r2b_part part_of(const r2b_window *whole, int32_t first, int32_t last) {
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

void r2b_by_rows(const r2b_rows *rows, r2b_part_run make, r2b_part_run read, uint8_t *arena,
                 const r2b_parallel *parallel) {
    const r2b_window *const maker = &rows->maker;
    const r2b_window *const reader = &rows->reader;
    uint8_t *const buffer = arena + rows->buffer;
    int32_t begin = 0;  // the buffer holds the rows begin..end - 1 of the map
    int32_t end = 0;

    for (int32_t y = 0; y < reader->out_height; y++) {
        r2b_part part = part_of(reader, y, y + 1);
        const int32_t top = part.skipped;
        const int32_t bottom = top + part.in_height;
        if (top < end) {
            memmove(buffer, buffer + (uint32_t)(top - begin) * rows->buffer_row,
                    (size_t)(end - top) * rows->buffer_row);
        } else {
            end = top;  // nobody reads the rows between
        }
        begin = top;
        if (end < bottom) {
            r2b_part made = part_of(maker, end, bottom);
            made.input = rows->input + (uint32_t)made.skipped * rows->input_row;
            made.first = (end - begin) * maker->out_width;
            made.more = 1;
            make(&made, arena, parallel);
            end = bottom;
        }
        part.input = rows->buffer;
        part.first = y * reader->out_width;
        part.more = y + 1 < reader->out_height;
        read(&part, arena, parallel);
    }
}
