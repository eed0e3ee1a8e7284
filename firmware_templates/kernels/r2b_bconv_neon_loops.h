// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon_loops.h: the inner loops of the binary convolution, in AArch64 assembly.
//
// A tap is one position of the window in one chunk of channels. Its input is a vector x of 16 bytes, which meets a
// block of output channels, vectors w of their weights:
//     wide    more than 64 channels: x holds 128 channels, w[i] those of output channel i; a block is 8 channels;
//     narrow  33 to 64 channels: x holds them twice, w[i] those of output channels 2i and 2i + 1; a block is 16;
//     thin    up to 32 channels: x holds them four times, w[i] those of output channels 4i to 4i + 3; a block is 16.
// So a tap of a block has 8 vectors, thin 4. Each pixel costs three instructions for 128 products: EOR finds the equal
// bits (the weights are stored inverted), CNT counts them in each byte, and a tree of ADDP adds neighbours until every
// 16-bit lane of a pair of bytes belongs to one output channel, in order; UADALP adds it to the pixel's sums. In a wide
// block 8 vectors become 1 (7 ADDP, 1 UADALP), in a narrow one 4 become 1 twice (3 ADDP, 1 UADALP), in a thin one 2
// become 1 twice (1 ADDP, 1 UADALP). A byte of the tree holds at most 64, so that nothing overflows.
//
// Sums are int16_t, half of a dot product: they start from -n / 2 for a window of n products, of which the equal bits
// are added. They lie as [groups of 8 output channels][7 pixels][8 channels].
//
// A tile is 7 pixels side by side. Registers:
//     wide    v0-v8 x   v9-v16 w   v17-v23 sums                              v24-v31 temporaries
//     narrow  v0-v8 x   v9-v12 w   v13-v19, v20-v26 sums of w[0-3], w[4-7]   v27-v31 temporaries
//     thin    v0-v6 x   v9-v12 w   v13-v19, v20-v26 sums of w[0-1], w[2-3]   v27-v31 temporaries
// The end of a pixel's tree is interleaved with the beginning of the next pixel, for cores that issue in order: each
// ADDP frees a temporary, which the next pixel takes. So the temporaries change their roles from pixel to pixel, in a
// cycle of 4 orders (wide: W0 to W3) or 5 (narrow, thin: N0 to N4).
#ifndef R2B_BCONV_NEON_LOOPS_H
#define R2B_BCONV_NEON_LOOPS_H

#include <stdint.h>

// ISO C need not take strings of more than 4095 characters, and a loop here is one of 14000; GCC and Clang take any.
#pragma GCC diagnostic ignored "-Woverlength-strings"

enum {
    PIXELS = 7,              // of a tile
    GROUP = 8,               // output channels whose sums fill a vector
    GROUP_BYTES = 7 * 8 * 2  // sums of a tile: int16_t [groups][PIXELS][GROUP]
};

typedef enum { WIDE, NARROW, THIN } block_size;

// Taps of some pixels for all blocks of output channels. Distances are in bytes.
typedef struct {
    const uint8_t *x;      // of the first tap of the first pixel
    const uint8_t *w;      // of the first tap, in the first block
    int32_t rows;          // of the window, in each chunk: above 0
    int32_t columns;       // taps of a row, above 0; the window loops know it
    int64_t pixel;         // from a pixel's x to the next pixel's
    int64_t next_column;   // from the last pixel's x and one `pixel` on to the first pixel's in the next column
    int64_t next_row;      // from there, behind the last column, to the next row; the window loops see below
    int64_t next_row_w;    // from the weights of a row's last tap to the next row's
    int64_t next_block_w;  // from there, behind the last row, to the next block's
    int32_t count;         // of blocks
    const int16_t *from;   // what the first pixel's sums start from, in the first group,
    int64_t from_all;      // and how far the next group's lie from there
    int16_t *to;           // the first pixel's sums
} taps;

#define EOR(t, x, w) "eor v" #t ".16b, v" #x ".16b, v" #w ".16b\n\t"
#define CNT(t) "cnt v" #t ".16b, v" #t ".16b\n\t"
#define ADD(t, u) "addp v" #t ".16b, v" #t ".16b, v" #u ".16b\n\t"
#define ACC(n, t) "uadalp v" #n ".8h, v" #t ".16b\n\t"
#define LOAD4(a, d, from, step) "ld1 {v" #a ".16b-v" #d ".16b}, [%[" #from "]], " step "\n\t"
#define LOAD1(a, from, step) "ld1 {v" #a ".16b}, [%[" #from "]], " step "\n\t"
#define VECTORS                                                                                                  \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"

// ---- a pixel -------------------------------------------------------------------------------------------------------
//
// For each size of block: the loads of weights; the first pixel x (all of EOR, and CNT of a and b); COUNT (the other
// CNT, and where the tree has more than two levels its first); NEXT (the rest of the tree, into the sums n, among the
// EOR of the next pixel x); LAST (the same after the last pixel). O0 to O6 are the temporaries of the first to seventh
// pixel.
#define W0 24, 25, 26, 27, 28, 29, 30, 31
#define W1 25, 27, 29, 31, 26, 30, 28, 24
#define W2 27, 31, 30, 24, 29, 28, 26, 25
#define W3 31, 24, 28, 25, 30, 26, 29, 27
#define WIDE_O0 W0
#define WIDE_O1 W1
#define WIDE_O2 W2
#define WIDE_O3 W3
#define WIDE_O4 W0
#define WIDE_O5 W1
#define WIDE_O6 W2
#define WIDE_WEIGHTS LOAD4(9, 12, w, "#64") LOAD4(13, 16, w, "#64")
#define WIDE_FIRST_(x, a, b, c, d, e, f, g, h) \
    EOR(a, x, 9)                               \
    EOR(b, x, 10) EOR(c, x, 11) EOR(d, x, 12) EOR(e, x, 13) EOR(f, x, 14) EOR(g, x, 15) EOR(h, x, 16) CNT(a) CNT(b)
#define WIDE_COUNT_(a, b, c, d, e, f, g, h) \
    CNT(c) CNT(d) CNT(e) CNT(f) CNT(g) CNT(h) ADD(a, b) ADD(c, d) ADD(e, f) ADD(g, h)
// The next pixel's temporaries are b d f h c g e a.
#define WIDE_NEXT_(x, n, a, b, c, d, e, f, g, h) \
    EOR(b, x, 9)                                 \
    EOR(d, x, 10)                                \
    ADD(a, c)                                    \
    EOR(f, x, 11)                                \
    ADD(e, g) EOR(h, x, 12) EOR(c, x, 13) EOR(g, x, 14) ADD(a, e) EOR(e, x, 15) CNT(b) CNT(d) ACC(n, a) EOR(a, x, 16)
#define WIDE_LAST_(n, a, b, c, d, e, f, g, h) ADD(a, c) ADD(e, g) ADD(a, e) ACC(n, a)
#define WIDE_FIRST(...) WIDE_FIRST_(__VA_ARGS__)
#define WIDE_COUNT(...) WIDE_COUNT_(__VA_ARGS__)
#define WIDE_NEXT(...) WIDE_NEXT_(__VA_ARGS__)
#define WIDE_LAST(...) WIDE_LAST_(__VA_ARGS__)

// Half a narrow block. The next pixel's temporaries are b d e c, and a is the free one.
#define N0 27, 28, 29, 30, 31
#define N1 28, 30, 31, 29, 27
#define N2 30, 29, 27, 31, 28
#define N3 29, 31, 28, 27, 30
#define N4 31, 27, 30, 28, 29
#define NARROW_O0 N0
#define NARROW_O1 N1
#define NARROW_O2 N2
#define NARROW_O3 N3
#define NARROW_O4 N4
#define NARROW_O5 N0
#define NARROW_O6 N1
#define NARROW_WEIGHTS LOAD4(9, 12, w, "#64")
#define NARROW_FIRST_(x, a, b, c, d, e) EOR(a, x, 9) EOR(b, x, 10) EOR(c, x, 11) EOR(d, x, 12) CNT(a) CNT(b)
#define NARROW_COUNT_(a, b, c, d, e) CNT(c) CNT(d) ADD(a, b) ADD(c, d)
#define NARROW_NEXT_(x, n, a, b, c, d, e) \
    EOR(b, x, 9) EOR(d, x, 10) EOR(e, x, 11) ADD(a, c) EOR(c, x, 12) CNT(b) CNT(d) ACC(n, a)
#define NARROW_LAST_(n, a, b, c, d, e) ADD(a, c) ACC(n, a)
#define NARROW_FIRST(...) NARROW_FIRST_(__VA_ARGS__)
#define NARROW_COUNT(...) NARROW_COUNT_(__VA_ARGS__)
#define NARROW_NEXT(...) NARROW_NEXT_(__VA_ARGS__)
#define NARROW_LAST(...) NARROW_LAST_(__VA_ARGS__)

// A thin block, with the same temporaries. Both vectors of the tree go into sums: a into n, c into those 7 further on.
#define THIN_O0 N0
#define THIN_O1 N1
#define THIN_O2 N2
#define THIN_O3 N3
#define THIN_O4 N4
#define THIN_O5 N0
#define THIN_O6 N1
#define THIN_WEIGHTS NARROW_WEIGHTS
#define THIN_FIRST(...) NARROW_FIRST_(__VA_ARGS__)
#define THIN_COUNT(...) NARROW_COUNT_(__VA_ARGS__)
#define BEYOND_13 20
#define BEYOND_14 21
#define BEYOND_15 22
#define BEYOND_16 23
#define BEYOND_17 24
#define BEYOND_18 25
#define BEYOND_19 26
#define ACC_(n, t) ACC(n, t)
#define THIN_NEXT_(x, n, a, b, c, d, e) \
    EOR(b, x, 9) EOR(d, x, 10) EOR(e, x, 11) ACC_(BEYOND_##n, c) EOR(c, x, 12) CNT(b) CNT(d) ACC(n, a)
#define THIN_LAST_(n, a, b, c, d, e) ACC_(BEYOND_##n, c) ACC(n, a)
#define THIN_NEXT(...) THIN_NEXT_(__VA_ARGS__)
#define THIN_LAST(...) THIN_LAST_(__VA_ARGS__)

// ---- a tap ---------------------------------------------------------------------------------------------------------
//
// Of 1 to 7 pixels x with the sums n; S is the size of block.
#define PX0(S, x) S##_WEIGHTS S##_FIRST(x, S##_O0) S##_COUNT(S##_O0)
#define PX1(S, x, n) S##_NEXT(x, n, S##_O0) S##_COUNT(S##_O1)  // n: of the pixel before
#define PX2(S, x, n) S##_NEXT(x, n, S##_O1) S##_COUNT(S##_O2)
#define PX3(S, x, n) S##_NEXT(x, n, S##_O2) S##_COUNT(S##_O3)
#define PX4(S, x, n) S##_NEXT(x, n, S##_O3) S##_COUNT(S##_O4)
#define PX5(S, x, n) S##_NEXT(x, n, S##_O4) S##_COUNT(S##_O5)
#define PX6(S, x, n) S##_NEXT(x, n, S##_O5) S##_COUNT(S##_O6)
#define TAP1(S, x0, n0) PX0(S, x0) S##_LAST(n0, S##_O0)
#define TAP2(S, x0, x1, n0, n1) PX0(S, x0) PX1(S, x1, n0) S##_LAST(n1, S##_O1)
#define TAP3(S, x0, x1, x2, n0, n1, n2) PX0(S, x0) PX1(S, x1, n0) PX2(S, x2, n1) S##_LAST(n2, S##_O2)
#define TAP4(S, x0, x1, x2, x3, n0, n1, n2, n3) \
    PX0(S, x0) PX1(S, x1, n0) PX2(S, x2, n1) PX3(S, x3, n2) S##_LAST(n3, S##_O3)
#define TAP5(S, x0, x1, x2, x3, x4, n0, n1, n2, n3, n4) \
    PX0(S, x0) PX1(S, x1, n0) PX2(S, x2, n1) PX3(S, x3, n2) PX4(S, x4, n3) S##_LAST(n4, S##_O4)
#define TAP6(S, x0, x1, x2, x3, x4, x5, n0, n1, n2, n3, n4, n5) \
    PX0(S, x0) PX1(S, x1, n0) PX2(S, x2, n1) PX3(S, x3, n2) PX4(S, x4, n3) PX5(S, x5, n4) S##_LAST(n5, S##_O5)
#define TAP7(S, x0, x1, x2, x3, x4, x5, x6, n0, n1, n2, n3, n4, n5, n6) \
    PX0(S, x0)                                                          \
    PX1(S, x1, n0) PX2(S, x2, n1) PX3(S, x3, n2) PX4(S, x4, n3) PX5(S, x5, n4) PX6(S, x6, n5) S##_LAST(n6, S##_O6)

// Sums of the first k pixels, in the registers a to g, from memory or to it.
#define SUMS_1(op, at, a, b, c, d, e, f, g) op " {v" #a ".8h}, [%[" #at "]], %[" #at "_all]\n\t"
#define SUMS_2(op, at, a, b, c, d, e, f, g) op " {v" #a ".8h-v" #b ".8h}, [%[" #at "]], %[" #at "_all]\n\t"
#define SUMS_3(op, at, a, b, c, d, e, f, g) op " {v" #a ".8h-v" #c ".8h}, [%[" #at "]], %[" #at "_all]\n\t"
#define SUMS_4(op, at, a, b, c, d, e, f, g) op " {v" #a ".8h-v" #d ".8h}, [%[" #at "]], %[" #at "_all]\n\t"
#define FOUR(op, at, a, d) op " {v" #a ".8h-v" #d ".8h}, [%[" #at "]], #64\n\t"
#define SUMS_5(op, at, a, b, c, d, e, f, g) FOUR(op, at, a, d) op " {v" #e ".8h}, [%[" #at "]], %[" #at "_rest]\n\t"
#define SUMS_6(op, at, a, b, c, d, e, f, g) \
    FOUR(op, at, a, d) op " {v" #e ".8h-v" #f ".8h}, [%[" #at "]], %[" #at "_rest]\n\t"
#define SUMS_7(op, at, a, b, c, d, e, f, g) \
    FOUR(op, at, a, d) op " {v" #e ".8h-v" #g ".8h}, [%[" #at "]], %[" #at "_rest]\n\t"
#define WIDE_SUMS(op, at, k) SUMS_##k(op, at, 17, 18, 19, 20, 21, 22, 23)
#define NARROW_SUMS(op, at, k) SUMS_##k(op, at, 13, 14, 15, 16, 17, 18, 19) SUMS_##k(op, at, 20, 21, 22, 23, 24, 25, 26)
#define THIN_SUMS NARROW_SUMS

// ---- loops ---------------------------------------------------------------------------------------------------------
//
// One statement of assembly each, over all blocks, in each of which `code` runs for every row: the sums of k pixels are
// loaded first and stored at the end.
#define LOOP(name, S, k, code)                                                                                         \
    static void name(const taps *t) {                                                                                  \
        const uint8_t *x, *w = t->w;                                                                                   \
        const int16_t *from = t->from;                                                                                 \
        int16_t *to = t->to;                                                                                           \
        int32_t row, column, count = t->count;                                                                         \
        __asm__ volatile(                                                                                              \
            "1:\n\t" S##_SUMS(                                                                                         \
                "ld1", from,                                                                                           \
                k) "mov %[x], %[start]\n\tmov %w[row], %w[rows]\n2:\n\t" code                                          \
                   "subs %w[row], %w[row], #1\n\tb.ne 2b\n\t" S##_SUMS(                                                \
                       "st1", to, k) "add %[w], %[w], %[next_block_w]\n\tsubs %w[count], %w[count], #1\n\tb.ne 1b\n\t" \
            : [x] "=&r"(x), [w] "+r"(w), [from] "+r"(from), [to] "+r"(to), [row] "=&r"(row), [column] "=&r"(column),   \
              [count] "+r"(count)                                                                                      \
            : [start] "r"(t->x), [rows] "r"(t->rows), [columns] "r"(t->columns), [pixel] "r"(t->pixel),                \
              [next_column] "r"(t->next_column), [next_row] "r"(t->next_row), [next_row_w] "r"(t->next_row_w),         \
              [next_block_w] "r"(t->next_block_w), [from_all] "r"(t->from_all), [from_rest] "r"(t->from_all - 64),     \
              [to_all] "r"((int64_t)GROUP_BYTES), [to_rest] "r"((int64_t)GROUP_BYTES - 64)                             \
            : "memory", "cc", VECTORS);                                                                                \
    }

// ---- three taps in a row, stride 1
//
// The 9 x that the 7 pixels see in a row are loaded once and used by all three taps; the last load moves x on by
// `next_row`. At the map's left border pixel 0 has no first tap, and the x before the map is not loaded (`start` is the
// map's first); at its right border pixel 6 has no third one.
#define X_MIDDLE LOAD4(0, 3, x, "#64") LOAD4(4, 7, x, "#64") LOAD1(8, x, "%[next_row]")
#define X_LEFT LOAD4(1, 4, x, "#64") LOAD4(5, 8, x, "%[next_row]")
#define X_RIGHT LOAD4(0, 3, x, "#64") LOAD4(4, 7, x, "%[next_row]")
#define X_BOTH LOAD4(1, 4, x, "#64") LOAD4(5, 7, x, "%[next_row]")

#define WIDE_ALL(...) TAP7(WIDE, __VA_ARGS__, 17, 18, 19, 20, 21, 22, 23)
#define WIDE_BUT_FIRST(...) TAP6(WIDE, __VA_ARGS__, 18, 19, 20, 21, 22, 23)
#define WIDE_BUT_LAST(...) TAP6(WIDE, __VA_ARGS__, 17, 18, 19, 20, 21, 22)
#define NARROW_ALL(...) \
    TAP7(NARROW, __VA_ARGS__, 13, 14, 15, 16, 17, 18, 19) TAP7(NARROW, __VA_ARGS__, 20, 21, 22, 23, 24, 25, 26)
#define NARROW_BUT_FIRST(...) \
    TAP6(NARROW, __VA_ARGS__, 14, 15, 16, 17, 18, 19) TAP6(NARROW, __VA_ARGS__, 21, 22, 23, 24, 25, 26)
#define NARROW_BUT_LAST(...) \
    TAP6(NARROW, __VA_ARGS__, 13, 14, 15, 16, 17, 18) TAP6(NARROW, __VA_ARGS__, 20, 21, 22, 23, 24, 25)

#define WINDOWS(name, S)                                                                                   \
    LOOP(name##_middle, S, 7,                                                                              \
         X_MIDDLE S##_ALL(0, 1, 2, 3, 4, 5, 6) S##_ALL(1, 2, 3, 4, 5, 6, 7) S##_ALL(2, 3, 4, 5, 6, 7, 8))  \
    LOOP(name##_left, S, 7,                                                                                \
         X_LEFT S##_BUT_FIRST(1, 2, 3, 4, 5, 6) S##_ALL(1, 2, 3, 4, 5, 6, 7) S##_ALL(2, 3, 4, 5, 6, 7, 8)) \
    LOOP(name##_right, S, 7,                                                                               \
         X_RIGHT S##_ALL(0, 1, 2, 3, 4, 5, 6) S##_ALL(1, 2, 3, 4, 5, 6, 7) S##_BUT_LAST(2, 3, 4, 5, 6, 7)) \
    LOOP(name##_both, S, 7,                                                                                \
         X_BOTH S##_BUT_FIRST(1, 2, 3, 4, 5, 6) S##_ALL(1, 2, 3, 4, 5, 6, 7) S##_BUT_LAST(2, 3, 4, 5, 6, 7))
WINDOWS(wide, WIDE)
WINDOWS(narrow, NARROW)

// ---- three taps in a row, stride 2
//
// The same, but each tap loads the x of its own pixels, which lie 32 bytes apart; x goes `next_row` bytes on in all.
// `from` is where the first tap of pixel 0 lies, in bytes from x: 0, or -16 at the left border, where it is not loaded.
#define X_AT(p, kx, from) "ldr q" #p ", [%[x], #(" #p " * 32 + " #kx " * 16 + " #from ")]\n\t"
#define X_1_5(kx, from) X_AT(1, kx, from) X_AT(2, kx, from) X_AT(3, kx, from) X_AT(4, kx, from) X_AT(5, kx, from)
#define TAP_OF_ALL(S, kx, from) X_AT(0, kx, from) X_1_5(kx, from) X_AT(6, kx, from) S##_ALL(0, 1, 2, 3, 4, 5, 6)
#define TAP_BUT_FIRST(S) X_1_5(0, -16) X_AT(6, 0, -16) S##_BUT_FIRST(1, 2, 3, 4, 5, 6)
#define TAP_BUT_LAST(S, from) X_AT(0, 2, from) X_1_5(2, from) S##_BUT_LAST(0, 1, 2, 3, 4, 5)
#define NEXT_ROW "add %[x], %[x], %[next_row]\n\t"

#define WINDOWS_2(name, S)                                                                            \
    LOOP(name##_middle_2, S, 7, TAP_OF_ALL(S, 0, 0) TAP_OF_ALL(S, 1, 0) TAP_OF_ALL(S, 2, 0) NEXT_ROW) \
    LOOP(name##_left_2, S, 7, TAP_BUT_FIRST(S) TAP_OF_ALL(S, 1, -16) TAP_OF_ALL(S, 2, -16) NEXT_ROW)  \
    LOOP(name##_right_2, S, 7, TAP_OF_ALL(S, 0, 0) TAP_OF_ALL(S, 1, 0) TAP_BUT_LAST(S, 0) NEXT_ROW)   \
    LOOP(name##_both_2, S, 7, TAP_BUT_FIRST(S) TAP_OF_ALL(S, 1, -16) TAP_BUT_LAST(S, -16) NEXT_ROW)
WINDOWS_2(wide, WIDE)
WINDOWS_2(narrow, NARROW)

typedef void (*loop)(const taps *t);

// By stride - 1, size of block, and whether the tile touches the left and the right border.
static const loop WINDOW_LOOPS[2][2][2][2] = {
    {{{wide_middle, wide_right}, {wide_left, wide_both}}, {{narrow_middle, narrow_right}, {narrow_left, narrow_both}}},
    {{{wide_middle_2, wide_right_2}, {wide_left_2, wide_both_2}},
     {{narrow_middle_2, narrow_right_2}, {narrow_left_2, narrow_both_2}}},
};

// ---- any taps
//
// Of 1 to 7 pixels whose x lie `pixel` bytes apart; a row of them `columns` times.
#define X1 LOAD1(0, x, "%[pixel]")
#define X2 X1 LOAD1(1, x, "%[pixel]")
#define X3 X2 LOAD1(2, x, "%[pixel]")
#define X4 X3 LOAD1(3, x, "%[pixel]")
#define X5 X4 LOAD1(4, x, "%[pixel]")
#define X6 X5 LOAD1(5, x, "%[pixel]")
#define X7 X6 LOAD1(6, x, "%[pixel]")
#define FIRST1(S, a, b, c, d, e, f, g) TAP1(S, 0, a)
#define FIRST2(S, a, b, c, d, e, f, g) TAP2(S, 0, 1, a, b)
#define FIRST3(S, a, b, c, d, e, f, g) TAP3(S, 0, 1, 2, a, b, c)
#define FIRST4(S, a, b, c, d, e, f, g) TAP4(S, 0, 1, 2, 3, a, b, c, d)
#define FIRST5(S, a, b, c, d, e, f, g) TAP5(S, 0, 1, 2, 3, 4, a, b, c, d, e)
#define FIRST6(S, a, b, c, d, e, f, g) TAP6(S, 0, 1, 2, 3, 4, 5, a, b, c, d, e, f)
#define FIRST7(S, a, b, c, d, e, f, g) TAP7(S, 0, 1, 2, 3, 4, 5, 6, a, b, c, d, e, f, g)
#define WIDE_TAP(k) FIRST##k(WIDE, 17, 18, 19, 20, 21, 22, 23)
#define NARROW_TAP(k) FIRST##k(NARROW, 13, 14, 15, 16, 17, 18, 19) FIRST##k(NARROW, 20, 21, 22, 23, 24, 25, 26)
#define THIN_TAP(k) FIRST##k(THIN, 13, 14, 15, 16, 17, 18, 19)

#define PIXELS_LOOP(name, S, k)                                                                   \
    LOOP(name##_##k, S, k,                                                                        \
         "mov %w[column], %w[columns]\n3:\n\t" X##k "add %[x], %[x], %[next_column]\n\t" S##_TAP( \
             k) "subs %w[column], %w[column], #1\n\tb.ne 3b\n\tadd %[w], %[w], %[next_row_w]\n\t" NEXT_ROW)
#define PIXELS_LOOPS(name, S) \
    PIXELS_LOOP(name, S, 1)   \
    PIXELS_LOOP(name, S, 2)   \
    PIXELS_LOOP(name, S, 3)   \
    PIXELS_LOOP(name, S, 4) PIXELS_LOOP(name, S, 5) PIXELS_LOOP(name, S, 6) PIXELS_LOOP(name, S, 7)
PIXELS_LOOPS(wide, WIDE)
PIXELS_LOOPS(narrow, NARROW)
PIXELS_LOOPS(thin, THIN)

// By size of block and pixels - 1.
static const loop PIXEL_LOOPS[3][PIXELS] = {
    {wide_1, wide_2, wide_3, wide_4, wide_5, wide_6, wide_7},
    {narrow_1, narrow_2, narrow_3, narrow_4, narrow_5, narrow_6, narrow_7},
    {thin_1, thin_2, thin_3, thin_4, thin_5, thin_6, thin_7},
};

#endif  // R2B_BCONV_NEON_LOOPS_H
