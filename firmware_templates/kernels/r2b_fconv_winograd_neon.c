// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_winograd_neon.c: convolution in float32 of a map of up to 4 channels, 7x7 or 3x3 with stride 2, for AArch64
// by Winograd's algorithm: 31.7 products for a value of 3 channels and a 7x7 kernel in the place of 147.
//
// Row of tiles by row of tiles, 4 output rows, as many tiles at a time as the workspace has inputs for; of them 8
// output channels at a time, whose weights stay in the cache for groups of 8 tiles (4 where no more are left). Tasks
// share the output channels. A group is made in its place where there is one and all of its pixels lie in the map.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif
#include "r2b_fconv_winograd_neon.h"

#include "r2b_fconv_winograd_neon_input.h"

enum { TILE = 4, GROUP = 8, BLOCK = 8, SPAN = 16 };

static void planes_of(const float *input, const r2b_window *g, int32_t oy, float *planes, int32_t plane, int32_t first,
                      int32_t last) {
    const int32_t points = g->kernel_y == 7 ? 7 : 5;
    switch (10 * points + g->in_channels) {
#define CASE(points, channels)                                                           \
    case 10 * points + channels:                                                         \
        r2b_winograd_planes(input, g, oy, planes, plane, first, last, points, channels); \
        break;
        CASE(7, 1)
        CASE(7, 2)
        CASE(7, 3)
        CASE(7, 4)
        CASE(5, 1)
        CASE(5, 2)
        CASE(5, 3)
        CASE(5, 4)
#undef CASE
    }
}

static void inputs_of(const float *planes, int32_t plane, float *inputs, int32_t tiles, int32_t points,
                      int32_t channels) {
    if (points == 7 && tiles == GROUP) {
        r2b_winograd_inputs_7_8(planes, plane, inputs, channels);
    } else if (points == 7) {
        r2b_winograd_inputs(planes, plane, inputs, GROUP / 2, 7, channels);
    } else {
        r2b_winograd_inputs(planes, plane, inputs, tiles, 5, channels);
    }
}

// What the tasks need of a span of tiles: `tiles` of them, the first at column `tile` of tiles, in output rows oy..
typedef struct {
    const r2b_fconv_blocks *layer;
    const float *input;
    float *planes;
    int32_t plane;
    float *inputs;
    float *sums;    // of task 0
    float *place;   // of the map, or null
    float *buffer;  // [4][32][out_channels], for one group, where there is no place
    int32_t steps;
    int32_t points;
    int32_t oy;
    int32_t height;  // of the output rows, 1..4
    int32_t tile;
    int32_t tiles;
} span;

// 8 output channels from o on of the group at tile t of the span.
static void block_of(const span *s, int32_t o, int32_t t, float *sums) {
    static r2b_winograd *const products[2][2] = {{r2b_winograd_5_4, r2b_winograd_5_8},
                                                 {r2b_winograd_7_4, r2b_winograd_7_8}};
    const r2b_window *const g = &s->layer->window;
    const int32_t outputs = g->out_channels;
    const int many = s->tiles - t > GROUP / 2;
    const int32_t ox = (s->tile + t) * TILE;
    const int32_t most = (many ? GROUP : GROUP / 2) * TILE;
    const int32_t width = g->out_width - ox < most ? g->out_width - ox : most;
    float *const own = sums + (5 * s->points - 2) * GROUP * BLOCK;  // [4][32][8]
    float *to = s->place ? s->place + (s->oy * g->out_width + ox) * outputs + o : s->buffer + o;
    int32_t row = (s->place ? g->out_width : GROUP * TILE) * outputs;
    int32_t pixel = outputs;
    const int apart = s->place && (s->height < TILE || width < most);
    if (apart) {
        to = own;
        row = GROUP * TILE * BLOCK;
        pixel = BLOCK;
    }
    products[s->points == 7][many](s->inputs + t * s->steps, (const float *)s->layer->weights + o * s->steps,
                                   s->layer->bias + o, sums, to, (int64_t)row * 4, (int64_t)pixel * TILE * 4,
                                   g->in_channels);
    for (int32_t y = 0; apart && y < s->height; y++) {
        float *const line = s->place + ((s->oy + y) * g->out_width + ox) * outputs + o;
        for (int32_t x = 0; x < width; x++) {
            memcpy(line + x * outputs, own + y * row + x * BLOCK, BLOCK * sizeof *line);
        }
    }
}

// The columns of the planes, the groups of tiles and the output channels are shared, one after the other.
static void planes_task(void *context, uint32_t index) {
    const span *const s = (const span *)context;
    const int32_t tasks = s->layer->tasks, fours = s->plane / 4;
    planes_of(s->input, &s->layer->window, s->oy, s->planes, s->plane, r2b_share(fours, tasks, (int32_t)index) * 4,
              r2b_share(fours, tasks, (int32_t)index + 1) * 4);
}

static void inputs_task(void *context, uint32_t index) {
    const span *const s = (const span *)context;
    const int32_t t = (int32_t)index * GROUP;
    inputs_of(s->planes + (s->tile + t) * TILE, s->plane, s->inputs + t * s->steps,
              s->tiles - t > GROUP / 2 ? GROUP : GROUP / 2, s->points, s->layer->window.in_channels);
}

static void task(void *context, uint32_t index) {
    const span *const s = (const span *)context;
    const int32_t tasks = s->layer->tasks, blocks = s->layer->window.out_channels / BLOCK;
    const int32_t last = r2b_share(blocks, tasks, (int32_t)index + 1);
    float *const sums = s->sums + (int32_t)index * (5 * s->points + 14) * GROUP * BLOCK;
    for (int32_t b = r2b_share(blocks, tasks, (int32_t)index); b < last; b++) {
        for (int32_t t = 0; t < s->tiles; t += GROUP) block_of(s, b * BLOCK, t, sums);
    }
}

void r2b_fconv_winograd_neon(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                             const r2b_parallel *parallel) {
    const r2b_window *const g = &layer->window;
    const int32_t channels = g->in_channels;
    const int32_t across = (g->out_width + TILE - 1) / TILE;
    const int32_t whole = (across + 3) / 4 * 4;  // tiles of a row, in fours
    span s = {.layer = layer, .points = g->kernel_y == 7 ? 7 : 5};
    const int32_t finite = s.points - 1;
    s.steps = 4 * finite * (finite + 1) * channels + channels + channels % 2;
    s.input = (const float *)(const void *)(arena + layer->input);
    s.planes = (float *)(void *)(arena + layer->work);
    s.plane = whole * TILE + TILE;
    s.inputs = s.planes + (2 * s.points - 1) * 2 * channels * s.plane;
    s.sums = s.inputs + s.steps * (whole < SPAN ? whole : SPAN);
    s.buffer = s.sums + layer->tasks * (5 * s.points + 14) * GROUP * BLOCK;
    s.place = r2b_epilogue_place(epilogue, arena);
    const int32_t most = s.place ? SPAN : GROUP;  // of a span's tiles

    r2b_epilogue_begin(epilogue, arena);
    for (s.oy = 0; s.oy < g->out_height; s.oy += TILE) {
        s.height = g->out_height - s.oy < TILE ? g->out_height - s.oy : TILE;
        r2b_for_all(parallel, planes_task, &s, (uint32_t)layer->tasks);
        for (s.tile = 0; s.tile < across; s.tile += most) {
            s.tiles = across - s.tile < most ? across - s.tile : most;
            r2b_for_all(parallel, inputs_task, &s, (uint32_t)((s.tiles + GROUP - 1) / GROUP));
            r2b_for_all(parallel, task, &s, (uint32_t)layer->tasks);
            const int32_t ox = s.tile * TILE;
            const int32_t width = g->out_width - ox < s.tiles * TILE ? g->out_width - ox : s.tiles * TILE;
            for (int32_t y = 0; y < s.height; y++) {
                const int32_t pixel = (s.oy + y) * g->out_width + ox;
                float *const made =
                    s.place ? s.place + pixel * g->out_channels : s.buffer + y * GROUP * TILE * g->out_channels;
                r2b_epilogue_tiles(epilogue, arena, pixel, width, made);
            }
        }
        r2b_epilogue_row(epilogue, arena);
    }
    r2b_epilogue_end(epilogue, arena);
}
