// SPDX-License-Identifier: MIT-0
//
// r2b_kernels.h: the kernels that a generated model calls, one a step. Each runs the epilogue of r2b_epilogue.h.
//
// Rules for every kernel:
//  - It allocates nothing, keeps no state and calls no libm; sizes are known when the model is generated.
//  - It reads and writes the arena only. `input`, `at` and `work` are byte offsets in it; tensors and workspaces start
//    at multiples of the model's arena_alignment (16 or more). Nothing is read beyond a tensor's last byte.
//  - Its tensors lie as r2b.h says: maps as float32 NHWC, as BITS32 or as BITS128, inputs of a model also as uint8_t
//    NHWC. Integers (the dot products) are held as float32, which is exact below 2^24.
//  - Sizes are positive; every index fits in int32_t: the generator refuses an arena of 2^31 bytes.
//  - `parallel` may be null. A kernel that cuts its work into tasks says so, and takes their number from its
//    parameters: what it computes never depends on how many threads there are. Others run on the calling thread.
#ifndef R2B_KERNELS_H
#define R2B_KERNELS_H

#include "r2b_epilogue.h"
#include "r2b_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- kernels -------------------------------------------------------------------------------------------------------

// Binary convolution: the exact dot products of BITS32 input and binary weights, at most 2^24 - 1 taps each.
typedef struct {
    r2b_window window;
    int32_t groups;
    int32_t pad_value;        // what the border holds: -1, 0 or +1
    const uint32_t *weights;  // [out_channels][kernel_y][kernel_x][ceil(in_channels / groups / 32)], as BITS32
    uint32_t input;           // BITS32
    uint32_t work;            // float [out_channels], rounded up to 16 bytes; then uint32_t, as many as one
                              // output channel has weight words
} r2b_bconv;

R2B_HOT_CODE void r2b_bconv_portable(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);

// The same by carry-save adders.
R2B_HOT_CODE void r2b_bconv_csa(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);

// The same on BITS128, with groups = 1 and at most 65532 taps. A block is 8 output channels, whose weights for 16 bytes
// of input are 16 bytes each; or where there are at most 64 input channels 16, with 8 bytes each, or with 4 where there
// are at most 32. Weights are inverted: bit 1 stands for +1, 0 for -1 and for what is padded.
//
// The tasks are row_tasks * channel_tasks: each has its share of the rows and of the runs of 128 output channels. Where
// the epilogue is not one of those that r2b_bconv_neon_epilogue.h has, row_tasks do all channels.
typedef struct {
    r2b_window window;
    int32_t pad_value;
    int32_t row_tasks;
    int32_t channel_tasks;
    const uint32_t *weights;  // [blocks][kernel_y][ceil(in_channels / 128)][kernel_x][output channels of a block]
    const uint32_t *border;   // uint16_t [kernel_y][kernel_x][blocks][output channels of a block]: equal bits of a
                              // tap that holds pad_value; null where that is 0
    uint32_t input;           // BITS128
    uint32_t work;  // int16_t [row_tasks][blocks][7][output channels of a block]; for each 8 output channels 160
                    // bytes, or 32 for each of row_tasks where that is more; int16_t [tasks][out_width,
                    // or 7 where that is more][8]; r2b_taps [out_width]
} r2b_bconv_blocks;

R2B_HOT_CODE void r2b_bconv_neon(const r2b_bconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                 const r2b_parallel *parallel);

// Binary convolution by lookup in tables that are made of the input (r2b_lut4.h), with groups = 1. P is the family's
// pixels of a vector.
typedef enum {
    R2B_LUT4_TILES,   // any epilogue, by r2b_epilogue_tile
    R2B_LUT4_FLOATS,  // operations that take one channel of several pixels as well as several channels of one pixel
    R2B_LUT4_SIGNS,   // one BITS and nothing else is written: `starts` has the thresholds
} r2b_lut4_finish;

typedef struct {
    r2b_window window;
    int32_t pad_value;
    int32_t rows;             // of the output that share a vector: 1, 2 or 4
    int32_t vectors;          // of a row
    int32_t phases;           // sets of columns that are stride_x apart and that the kernel reads
    int32_t chunks;           // runs of lookups of a kernel column
    r2b_lut4_finish finish;   // how the epilogue is run
    const uint32_t *weights;  // [out_channels][kernel_x][words of all chunks], see r2b_lut4.h
    const uint32_t *border;   // uint8_t [out_channels][kernel_x][chunks]: equal bits of a column that holds pad_value;
                              // null where that is 0
    const uint32_t *starts;   // SIGNS: int16_t [out_channels][2], each twice: what the merge starts from, so that a
                              // sum below 0 is a bit; else null
    uint32_t input;           // BITS32
    uint32_t work;            // see the layout in r2b_lut4.h
} r2b_bconv_lut4;

R2B_HOT_CODE void r2b_bconv_lut4_c(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                   const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_lut4_c32(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_lut4_dsp(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_lut4_v6m(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_lut4_mve(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_lut4_pair_mve(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                          const r2b_parallel *parallel);  // weights: another order of lookups
R2B_HOT_CODE void r2b_bconv_lut4_v7m(const r2b_bconv_lut4 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);

// Signs of a binary convolution with 1x1 windows, no border and at most 64 input channels (r2b_bconv_1x1.h). The
// epilogue is one BITS without `flip`.
typedef struct {
    r2b_window window;
    const uint32_t *weights;  // [ceil(out_channels / 32)][in_channels up to 16]: bit o is that of output o
    const uint32_t *starts;   // uint8_t [ceil(out_channels / 32)][8][4]: byte b of word j, of output 8 b + j, is what
                              // the number of differing bits needs to reach 128 where the sign is -1; 0 beyond the last
    uint32_t input;           // BITS32
    uint32_t work;            // 2048 bytes for each 16 input channels
} r2b_bconv_1x1;

R2B_HOT_CODE void r2b_bconv_1x1_c(const r2b_bconv_1x1 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                  const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_1x1_dsp(const r2b_bconv_1x1 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                    const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_bconv_1x1_v7m(const r2b_bconv_1x1 *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                    const r2b_parallel *parallel);

// A map of bits in another layout, or of bytes as float32; the epilogue is one STORE, which says where. `work` is not
// used.
typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    uint32_t input;
    uint32_t work;
} r2b_repack;

R2B_HOT_CODE void r2b_repack_bits128(const r2b_repack *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);  // from BITS32
R2B_HOT_CODE void r2b_repack_bits32(const r2b_repack *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                    const r2b_parallel *parallel);  // from BITS128
R2B_HOT_CODE void r2b_repack_bytes(const r2b_repack *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                   const r2b_parallel *parallel);  // uint8_t NHWC to float NHWC

// Convolution in float32 with zero padding. `weights` are float; for a function whose name ends in _half they are
// uint16_t that hold halves (r2b_half.h), finite ones. So it is with dense layers.
typedef struct {
    r2b_window window;
    int32_t groups;
    const void *weights;  // [kernel_y][kernel_x][in_channels / groups][out_channels]
    const float *bias;    // [out_channels]
    const float *scale;   // [in_channels], as is offset; both null, which is 1 and 0, where `input` holds floats
    const float *offset;
    uint32_t input;  // NHWC, floats or bytes
    uint32_t work;   // float [out_channels]; for bytes rounded up to 16 bytes, then the rows under the window:
                     // float [(kernel_y - 1) * dilation_y + 1][in_width][in_channels]
} r2b_fconv;

R2B_HOT_CODE void r2b_fconv_portable(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_portable_half(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                          const r2b_parallel *parallel);

// The same on bytes: value v of channel c stands for scale[c] * v + offset[c]. The border is 0 after this map.
R2B_HOT_CODE void r2b_fconv_bytes_portable(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                           const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_portable_half(const r2b_fconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                                const r2b_parallel *parallel);

// The same without groups, and with dilation_x = 1 where kernel_x > 1. Sums are in another order than fconv_portable's.
typedef struct {
    r2b_window window;
    const void *weights;  // [blocks][kernel_y][kernel_x][in_channels][8 outputs, for mve 4], 0 beyond the last output
    const float *bias;    // [blocks * 8, for mve 4]
    const float *scale;   // as in r2b_fconv
    const float *offset;
    int32_t tasks;   // r2b_fconv_winograd_neon: shares of the output channels; others take it for 1
    uint32_t input;  // NHWC, floats or bytes
    uint32_t work;   // float [2 pixels for dsp, 4 for neon, 3 for mve][channels of all blocks]; for bytes then the
                     // rows, as in r2b_fconv; for mve, where the window has pads or gaps, then float [3][kernel_y][
                     // kernel_x][in_channels]
} r2b_fconv_blocks;

R2B_HOT_CODE void r2b_fconv_dsp(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);  // needs an FPU, as does the next one
R2B_HOT_CODE void r2b_fconv_dsp_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_neon(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                 const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_neon_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);
// 3x3 or 7x7 with stride 2 and without dilation, at most 4 input channels, out_channels a multiple of 8, in other
// arithmetic: r2b_fconv_winograd_neon.h has the order of `weights`, which are transformed already. With P = 7 points
// for 7x7 and 5 for 3x3, T tiles of 4 columns, up to a multiple of 4, and K weights of an output channel, `work` is
// float [2 * P - 1][2][in_channels][4 * T + 4], [K][T, at most 16], [tasks][5 * P + 14][64] and, where
// r2b_epilogue_place gives null, [4][32][out_channels].
R2B_HOT_CODE void r2b_fconv_winograd_neon(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                          const r2b_parallel *parallel);
// With any dilation.
R2B_HOT_CODE void r2b_fconv_mve(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_mve_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_mve(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_mve_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                           const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_dsp(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_dsp_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                           const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_neon(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                       const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_fconv_bytes_neon_half(const r2b_fconv_blocks *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                            const r2b_parallel *parallel);

// Convolution in integers of a real map, zero padding, no dilations; a vector is a map of one pixel. A real value x
// stands for q = min(max(round(x * inverse), low), high): the product is rounded to float, and round takes halves to
// the even neighbour. The sums of weights * q are exact, and below 2^24 whatever the map holds.
typedef struct {
    r2b_window window;
    int32_t depth;          // integers of a pixel in `work`: in_channels, and a 0 where these are odd
    int32_t row;            // integers of a row in `work`: of the border, of the map, and of the border or zeros, as
                            // many as the last window reads: up to 3 more than it covers; even
    const int8_t *weights;  // [ceil(out_channels / 4)][kernel_y][ceil(kernel_x * depth / 4)][4 output channels]
                            // [4 of kernel_x * depth], 0 where there are none; aligned to 4 bytes. r2b_qconv_dsp wants
                            // the innermost four in the order 0, 2, 1, 3; r2b_qconv_mve: see there
    const uint32_t *offsets;  // r2b_qconv_mve, else null: int32_t [output channels up to a multiple of 4]
    float inverse;            // above 0
    int32_t low;              // -255 to 0, and high - low = 255
    int32_t high;
    uint32_t input;  // NHWC, floats; NaN is taken for one of the ends
    uint32_t work;   // float [out_channels], rounded up to 16 bytes; then int16_t [kernel_y][row]
} r2b_qconv;

R2B_HOT_CODE void r2b_qconv_portable(const r2b_qconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_qconv_dsp(const r2b_qconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);
// Weights in runs of 16: [ceil(out_channels / 4)][kernel_y][ceil(kernel_x * depth / 16)][4 output channels][16].
// offsets: (low + 128) * the sum of an output channel's weights. depth is in_channels; a row has as many bytes as the
// last window reads, up to 15 more than it covers; work ends in int8_t [kernel_y][row].
R2B_HOT_CODE void r2b_qconv_mve(const r2b_qconv *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);

// y = weights x + bias on a vector.
typedef struct {
    int32_t in_channels;
    int32_t out_channels;
    const void *weights;  // [out_channels][in_channels]
    const float *bias;    // [out_channels]
    int32_t tasks;        // r2b_dense_neon: shares of the outputs; others take it for 1
    uint32_t input;       // float [in_channels]
    uint32_t work;        // float [out_channels]
} r2b_dense;

R2B_HOT_CODE void r2b_dense_portable(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_dense_portable_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                          const r2b_parallel *parallel);

// The same with outputs in blocks of 8: weights [blocks][in_channels][8 outputs], 0 beyond the last output; bias and
// work of blocks * 8 floats.
R2B_HOT_CODE void r2b_dense_mve(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);  // blocks of 4
R2B_HOT_CODE void r2b_dense_mve_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_dense_dsp(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                const r2b_parallel *parallel);  // needs an FPU, as does the next one
R2B_HOT_CODE void r2b_dense_dsp_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                     const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_dense_neon(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                 const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_dense_neon_half(const r2b_dense *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);

// Pools. The border never wins a maximum; it counts in a mean (as zeros) if count_pad is 1, up to the row count_height
// and the column count_width of the map, else it does not.
typedef struct {
    r2b_window window;
    int32_t count_pad;  // mean only
    int32_t count_height;
    int32_t count_width;
    uint32_t input;  // NHWC
    uint32_t work;   // float [channels]
} r2b_pool;

R2B_HOT_CODE void r2b_maxpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                       const r2b_parallel *parallel);
// The same; `work` is float [2][in_channels, rounded up to 4].
R2B_HOT_CODE void r2b_maxpool_neon(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                   const r2b_parallel *parallel);
R2B_HOT_CODE void r2b_avgpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                       const r2b_parallel *parallel);

// Maxima of bits; BITS32 in and out. `work` is not used.
R2B_HOT_CODE void r2b_bmaxpool_portable(const r2b_pool *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                        const r2b_parallel *parallel);

// The same values in another shape, numbered by channel, then row, then column in both.
typedef struct {
    int32_t in_height;
    int32_t in_width;
    int32_t in_channels;
    int32_t out_height;
    int32_t out_width;
    int32_t out_channels;
    uint32_t input;  // NHWC
    uint32_t work;   // float [out_channels]
} r2b_reshape;

R2B_HOT_CODE void r2b_reshape_portable(const r2b_reshape *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                       const r2b_parallel *parallel);

// y[c, h, w] = x[channels[c], rows[h], columns[w]], or `fill` where an index is R2B_NOWHERE.
#define R2B_NOWHERE UINT32_MAX
typedef struct {
    int32_t in_width;
    int32_t in_channels;
    int32_t out_height;
    int32_t out_width;
    int32_t out_channels;
    const uint32_t *rows;      // [out_height]
    const uint32_t *columns;   // [out_width]
    const uint32_t *channels;  // [out_channels]; null: all of them in order
    float fill;
    uint32_t input;  // NHWC
    uint32_t work;   // float [out_channels]
} r2b_gather;

R2B_HOT_CODE void r2b_gather_portable(const r2b_gather *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);

// Maps side by side along the channels.
typedef struct {
    int32_t height;
    int32_t width;
    int32_t parts;
    const uint32_t *channels;  // [parts]
    const uint32_t *inputs;    // [parts]: arena offsets, NHWC
    uint32_t work;             // float [the sum of channels]
} r2b_concat;

R2B_HOT_CODE void r2b_concat_portable(const r2b_concat *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);

// y = a where the condition on x holds, else b. The condition is values[k][c], 1 or 0, with k the number of
// thresholds[..][c], ascending, that are not above x.
typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    int32_t count;
    const float *thresholds;  // [count][channels]
    const float *values;      // [count + 1][channels]
    const float *a;           // [channels]; null: the second input
    const float *b;           // [channels]; null: the next input
    const uint32_t *inputs;   // arena offsets, NHWC: x, then those of a and b that are tensors
    uint32_t work;            // float [channels]
} r2b_select;

R2B_HOT_CODE void r2b_select_portable(const r2b_select *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                      const r2b_parallel *parallel);

// The channels' mean or maximum at each pixel: a map of one channel.
typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    int32_t is_mean;
    uint32_t input;  // NHWC
    uint32_t work;   // float [1]
} r2b_channel_reduce;

R2B_HOT_CODE void r2b_channel_reduce_portable(const r2b_channel_reduce *layer, const r2b_epilogue *epilogue,
                                              uint8_t *arena, const r2b_parallel *parallel);

// The epilogue alone, on a stored map or vector; a result may take its input's place.
typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    uint32_t input;  // NHWC
    uint32_t work;   // float [channels]
} r2b_map;

R2B_HOT_CODE void r2b_map_portable(const r2b_map *layer, const r2b_epilogue *epilogue, uint8_t *arena,
                                   const r2b_parallel *parallel);

#ifdef __cplusplus
}
#endif

#endif  // R2B_KERNELS_H
