// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_neon_loops.h: the inner loops of the binary convolution, in AArch64 assembly.
//
// A tap is one position of the window in one chunk of channels. Its input is a vector x of 16 bytes, and a block of
// output channels has 8 vectors w of weights for it, 128 bytes:
//     wide    more than 64 channels: x holds 128 channels, w[i] those of output channel i; a block is 8 channels;
//     narrow  up to 64 channels: x holds them twice, w[i] those of output channels 2i and 2i + 1; a block is 16.
// Each pixel costs three instructions for 128 products: EOR finds the differing bits, CNT counts them in each byte, and
// a tree of ADDP adds neighbours until every 16-bit lane of a pair of bytes belongs to one output channel, in order;
// UADALP adds it to the pixel's counts. In a wide block 8 vectors become 1 (7 ADDP, 1 UADALP), in a narrow one 4
// become 1 twice. A byte of the tree holds at most 64, so that nothing overflows.
//
// A tile is 7 pixels side by side. Registers:
//     wide    v0-v8 x   v9-v16 w   v17-v23 counts                              v24-v31 temporaries
//     narrow  v0-v8 x   v9-v12 w   v13-v19, v20-v26 counts of w[0-3], w[4-7]   v27-v31 temporaries
// The end of a pixel's tree is interleaved with the beginning of the next pixel, for cores that issue in order: each
// ADDP frees a temporary, which the next pixel takes. So the temporaries change their roles from pixel to pixel, in a
// cycle of 4 orders (wide: W0 to W3) or 5 (narrow: N0 to N4).
#ifndef R2B_BCONV_NEON_LOOPS_H
#define R2B_BCONV_NEON_LOOPS_H

#include <stdint.h>

// ISO C need not take strings of more than 4095 characters, and a loop here is one of 14000; GCC and Clang take any.
#pragma GCC diagnostic ignored "-Woverlength-strings"

enum {
    PIXELS = 7,              // of a tile
    GROUP = 8,               // output channels whose counts fill a vector
    GROUP_BYTES = 7 * 8 * 2  // counts of a tile: uint16_t [groups][PIXELS][GROUP]
};

// Where a tap's x and w lie: bytes from the input's start and from the block's start.
typedef struct {
    int32_t x;
    int32_t w;
} tap;

// All blocks of output channels: each has `bytes` of weights, and counts of `groups` (1 wide, 2 narrow).
typedef struct {
    const uint8_t *weights;
    uint16_t *counts;  // of the block's first pixel
    int32_t count;
    int32_t bytes;
    int32_t groups;
} blocks;

// The loops run over all blocks; each is one statement of assembly, which changes x, w, n and counts.
#define FOR_BLOCKS                       \
    const uint8_t *block = all->weights; \
    uint16_t *its = all->counts;         \
    for (int32_t b = 0; b < all->count; b++, block += all->bytes, its += all->groups * PIXELS * GROUP)

#define EOR(t, x, w) "eor v" #t ".16b, v" #x ".16b, v" #w ".16b\n\t"
#define CNT(t) "cnt v" #t ".16b, v" #t ".16b\n\t"
#define ADD(t, u) "addp v" #t ".16b, v" #t ".16b, v" #u ".16b\n\t"
#define ACC(n, t) "uadalp v" #n ".8h, v" #t ".16b\n\t"
#define ZERO(n) "movi v" #n ".2d, #0\n\t"
#define LOAD4(a, d, from, step) "ld1 {v" #a ".16b-v" #d ".16b}, [%[" #from "]], " step "\n\t"
#define LOAD1(a, from, step) "ld1 {v" #a ".16b}, [%[" #from "]], " step "\n\t"
#define NEXT_OR_END "subs %w[n], %w[n], #1\n\tb.ne 1b\n\t"

// ---- a pixel of a wide block
// -----------------------------------------------------------------------------------------
#define W0 24, 25, 26, 27, 28, 29, 30, 31
#define W1 25, 27, 29, 31, 26, 30, 28, 24
#define W2 27, 31, 30, 24, 29, 28, 26, 25
#define W3 31, 24, 28, 25, 30, 26, 29, 27

// The first pixel: all of EOR, and CNT of a and b.
#define WIDE_FIRST_(x, a, b, c, d, e, f, g, h) \
    EOR(a, x, 9)                               \
    EOR(b, x, 10) EOR(c, x, 11) EOR(d, x, 12) EOR(e, x, 13) EOR(f, x, 14) EOR(g, x, 15) EOR(h, x, 16) CNT(a) CNT(b)
// The other CNT and the first level of the tree; b, d, f and h are free afterwards.
#define WIDE_COUNT_(a, b, c, d, e, f, g, h) \
    CNT(c) CNT(d) CNT(e) CNT(f) CNT(g) CNT(h) ADD(a, b) ADD(c, d) ADD(e, f) ADD(g, h)
// The rest of the tree, into counts n, among the EOR of the next pixel x, whose temporaries are b d f h c g e a.
#define WIDE_NEXT_(x, n, a, b, c, d, e, f, g, h) \
    EOR(b, x, 9)                                 \
    EOR(d, x, 10)                                \
    ADD(a, c)                                    \
    EOR(f, x, 11)                                \
    ADD(e, g) EOR(h, x, 12) EOR(c, x, 13) EOR(g, x, 14) ADD(a, e) EOR(e, x, 15) CNT(b) CNT(d) ACC(n, a) EOR(a, x, 16)
// The same after the last pixel.
#define WIDE_LAST_(n, a, b, c, d, e, f, g, h) ADD(a, c) ADD(e, g) ADD(a, e) ACC(n, a)
#define WIDE_FIRST(...) WIDE_FIRST_(__VA_ARGS__)
#define WIDE_COUNT(...) WIDE_COUNT_(__VA_ARGS__)
#define WIDE_NEXT(...) WIDE_NEXT_(__VA_ARGS__)
#define WIDE_LAST(...) WIDE_LAST_(__VA_ARGS__)

// One tap of the pixels 0-6, 1-6, 0-5 or of one, each with its x; w is loaded first.
#define WIDE_WEIGHTS LOAD4(9, 12, w, "#64") LOAD4(13, 16, w, "#64")
#define WIDE_0_6(x0, x1, x2, x3, x4, x5, x6)                                                                           \
    WIDE_WEIGHTS WIDE_FIRST(x0, W0) WIDE_COUNT(W0) WIDE_NEXT(x1, 17, W0) WIDE_COUNT(W1) WIDE_NEXT(x2, 18, W1)          \
        WIDE_COUNT(W2) WIDE_NEXT(x3, 19, W2) WIDE_COUNT(W3) WIDE_NEXT(x4, 20, W3) WIDE_COUNT(W0) WIDE_NEXT(x5, 21, W0) \
            WIDE_COUNT(W1) WIDE_NEXT(x6, 22, W1) WIDE_COUNT(W2) WIDE_LAST(23, W2)
#define WIDE_1_6(x1, x2, x3, x4, x5, x6)                                                                               \
    WIDE_WEIGHTS WIDE_FIRST(x1, W0) WIDE_COUNT(W0) WIDE_NEXT(x2, 18, W0) WIDE_COUNT(W1) WIDE_NEXT(x3, 19, W1)          \
        WIDE_COUNT(W2) WIDE_NEXT(x4, 20, W2) WIDE_COUNT(W3) WIDE_NEXT(x5, 21, W3) WIDE_COUNT(W0) WIDE_NEXT(x6, 22, W0) \
            WIDE_COUNT(W1) WIDE_LAST(23, W1)
#define WIDE_0_5(x0, x1, x2, x3, x4, x5)                                                                               \
    WIDE_WEIGHTS WIDE_FIRST(x0, W0) WIDE_COUNT(W0) WIDE_NEXT(x1, 17, W0) WIDE_COUNT(W1) WIDE_NEXT(x2, 18, W1)          \
        WIDE_COUNT(W2) WIDE_NEXT(x3, 19, W2) WIDE_COUNT(W3) WIDE_NEXT(x4, 20, W3) WIDE_COUNT(W0) WIDE_NEXT(x5, 21, W0) \
            WIDE_COUNT(W1) WIDE_LAST(22, W1)
#define WIDE_ZERO ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23)
#define WIDE_STORE "st1 {v17.8h-v20.8h}, [%[counts]], #64\n\tst1 {v21.8h-v23.8h}, [%[counts]]\n\t"

// ---- a pixel of half a narrow block
// ----------------------------------------------------------------------------------
#define N0 27, 28, 29, 30, 31
#define N1 28, 30, 31, 29, 27
#define N2 30, 29, 27, 31, 28
#define N3 29, 31, 28, 27, 30
#define N4 31, 27, 30, 28, 29

#define NARROW_FIRST_(x, a, b, c, d, e) EOR(a, x, 9) EOR(b, x, 10) EOR(c, x, 11) EOR(d, x, 12) CNT(a) CNT(b)
#define NARROW_COUNT_(a, b, c, d, e) CNT(c) CNT(d) ADD(a, b) ADD(c, d)
// The next pixel's temporaries are b d e c, and a is the free one.
#define NARROW_NEXT_(x, n, a, b, c, d, e) \
    EOR(b, x, 9) EOR(d, x, 10) EOR(e, x, 11) ADD(a, c) EOR(c, x, 12) CNT(b) CNT(d) ACC(n, a)
#define NARROW_LAST_(n, a, b, c, d, e) ADD(a, c) ACC(n, a)
#define NARROW_FIRST(...) NARROW_FIRST_(__VA_ARGS__)
#define NARROW_COUNT(...) NARROW_COUNT_(__VA_ARGS__)
#define NARROW_NEXT(...) NARROW_NEXT_(__VA_ARGS__)
#define NARROW_LAST(...) NARROW_LAST_(__VA_ARGS__)

#define NARROW_WEIGHTS LOAD4(9, 12, w, "#64")
// Half a tap of seven or six pixels x with the counts n.
#define NARROW_7(x0, x1, x2, x3, x4, x5, x6, n0, n1, n2, n3, n4, n5, n6)                                          \
    NARROW_WEIGHTS NARROW_FIRST(x0, N0) NARROW_COUNT(N0) NARROW_NEXT(x1, n0, N0) NARROW_COUNT(N1)                 \
        NARROW_NEXT(x2, n1, N1) NARROW_COUNT(N2) NARROW_NEXT(x3, n2, N2) NARROW_COUNT(N3) NARROW_NEXT(x4, n3, N3) \
            NARROW_COUNT(N4) NARROW_NEXT(x5, n4, N4) NARROW_COUNT(N0) NARROW_NEXT(x6, n5, N0) NARROW_COUNT(N1)    \
                NARROW_LAST(n6, N1)
#define NARROW_6(x0, x1, x2, x3, x4, x5, n0, n1, n2, n3, n4, n5)                                                  \
    NARROW_WEIGHTS NARROW_FIRST(x0, N0) NARROW_COUNT(N0) NARROW_NEXT(x1, n0, N0) NARROW_COUNT(N1)                 \
        NARROW_NEXT(x2, n1, N1) NARROW_COUNT(N2) NARROW_NEXT(x3, n2, N2) NARROW_COUNT(N3) NARROW_NEXT(x4, n3, N3) \
            NARROW_COUNT(N4) NARROW_NEXT(x5, n4, N4) NARROW_COUNT(N0) NARROW_LAST(n5, N0)
#define NARROW_0_6(...) \
    NARROW_7(__VA_ARGS__, 13, 14, 15, 16, 17, 18, 19) NARROW_7(__VA_ARGS__, 20, 21, 22, 23, 24, 25, 26)
#define NARROW_1_6(...) NARROW_6(__VA_ARGS__, 14, 15, 16, 17, 18, 19) NARROW_6(__VA_ARGS__, 21, 22, 23, 24, 25, 26)
#define NARROW_0_5(...) NARROW_6(__VA_ARGS__, 13, 14, 15, 16, 17, 18) NARROW_6(__VA_ARGS__, 20, 21, 22, 23, 24, 25)
#define NARROW_ZERO \
    ZERO(13)        \
    ZERO(14) ZERO(15) ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23) ZERO(24) ZERO(25) ZERO(26)
#define NARROW_STORE                                                                     \
    "st1 {v13.8h-v16.8h}, [%[counts]], #64\n\tst1 {v17.8h-v19.8h}, [%[counts]], #48\n\t" \
    "st1 {v20.8h-v23.8h}, [%[counts]], #64\n\tst1 {v24.8h-v26.8h}, [%[counts]]\n\t"

#define VECTORS                                                                                                  \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"

// ---- three taps in a row, stride 1
// -----------------------------------------------------------------------------------
//
// Each iteration is one row of the window in one chunk: the 9 x that the 7 pixels see are loaded once and used by all
// three taps. `rows` iterations from `input` on; x goes `step` bytes on after its last load;
// w is contiguous, and begins `skipped` bytes into a block. At the map's left border
// pixel 0 has no first tap and the x before the map is not loaded; at its right border pixel 6 has no third one.
#define X_MIDDLE LOAD4(0, 3, x, "#64") LOAD4(4, 7, x, "#64") LOAD1(8, x, "%[step]")
#define X_LEFT LOAD4(1, 4, x, "#64") LOAD4(5, 8, x, "%[step]")
#define X_RIGHT LOAD4(0, 3, x, "#64") LOAD4(4, 7, x, "%[step]")
#define X_BOTH LOAD4(1, 4, x, "#64") LOAD4(5, 7, x, "%[step]")

#define WINDOW(name, size, loads, first, third)                                                              \
    static void name(const uint8_t *input, int32_t skipped, int64_t step, int32_t rows, const blocks *all) { \
        FOR_BLOCKS {                                                                                         \
            const uint8_t *x = input;                                                                        \
            const uint8_t *w = block + skipped;                                                              \
            uint16_t *counts = its;                                                                          \
            int32_t n = rows;                                                                                \
            __asm__ volatile(size##_ZERO "1:\n\t" loads first size##_0_6(1, 2, 3, 4, 5, 6, 7)                \
                                 third NEXT_OR_END size##_STORE                                              \
                             : [x] "+r"(x), [w] "+r"(w), [n] "+r"(n), [counts] "+r"(counts)                  \
                             : [step] "r"(step)                                                              \
                             : "memory", "cc", VECTORS);                                                     \
        }                                                                                                    \
    }

WINDOW(wide_middle, WIDE, X_MIDDLE, WIDE_0_6(0, 1, 2, 3, 4, 5, 6), WIDE_0_6(2, 3, 4, 5, 6, 7, 8))
WINDOW(wide_left, WIDE, X_LEFT, WIDE_1_6(1, 2, 3, 4, 5, 6), WIDE_0_6(2, 3, 4, 5, 6, 7, 8))
WINDOW(wide_right, WIDE, X_RIGHT, WIDE_0_6(0, 1, 2, 3, 4, 5, 6), WIDE_0_5(2, 3, 4, 5, 6, 7))
WINDOW(wide_both, WIDE, X_BOTH, WIDE_1_6(1, 2, 3, 4, 5, 6), WIDE_0_5(2, 3, 4, 5, 6, 7))
WINDOW(narrow_middle, NARROW, X_MIDDLE, NARROW_0_6(0, 1, 2, 3, 4, 5, 6), NARROW_0_6(2, 3, 4, 5, 6, 7, 8))
WINDOW(narrow_left, NARROW, X_LEFT, NARROW_1_6(1, 2, 3, 4, 5, 6), NARROW_0_6(2, 3, 4, 5, 6, 7, 8))
WINDOW(narrow_right, NARROW, X_RIGHT, NARROW_0_6(0, 1, 2, 3, 4, 5, 6), NARROW_0_5(2, 3, 4, 5, 6, 7))
WINDOW(narrow_both, NARROW, X_BOTH, NARROW_1_6(1, 2, 3, 4, 5, 6), NARROW_0_5(2, 3, 4, 5, 6, 7))

// ---- three taps in a row, stride 2
// -----------------------------------------------------------------------------------
//
// The same, but each tap loads the x of its own pixels, which lie 32 bytes apart; x goes `step` bytes on in all. `from`
// is where the first tap of pixel 0 lies, in bytes from x: 0, or -16 at the left border, where it is not loaded.
#define X_AT(p, kx, from) "ldr q" #p ", [%[x], #(" #p " * 32 + " #kx " * 16 + " #from ")]\n\t"
#define X_1_5(kx, from) X_AT(1, kx, from) X_AT(2, kx, from) X_AT(3, kx, from) X_AT(4, kx, from) X_AT(5, kx, from)
#define X_0_6(kx, from) X_AT(0, kx, from) X_1_5(kx, from) X_AT(6, kx, from)

#define STRIDE_2(name, size, from, first, third)                                                             \
    static void name(const uint8_t *input, int32_t skipped, int64_t step, int32_t rows, const blocks *all) { \
        FOR_BLOCKS {                                                                                         \
            const uint8_t *x = input;                                                                        \
            const uint8_t *w = block + skipped;                                                              \
            uint16_t *counts = its;                                                                          \
            int32_t n = rows;                                                                                \
            __asm__ volatile(size##_ZERO "1:\n\t" first X_0_6(1, from) size##_0_6(0, 1, 2, 3, 4, 5, 6) third \
                             "add %[x], %[x], %[step]\n\t" NEXT_OR_END size##_STORE                          \
                             : [x] "+r"(x), [w] "+r"(w), [n] "+r"(n), [counts] "+r"(counts)                  \
                             : [step] "r"(step)                                                              \
                             : "memory", "cc", VECTORS);                                                     \
        }                                                                                                    \
    }
#define TAP_OF_ALL(size, kx, from) X_0_6(kx, from) size##_0_6(0, 1, 2, 3, 4, 5, 6)
#define TAP_BUT_FIRST(size) X_1_5(0, -16) X_AT(6, 0, -16) size##_1_6(1, 2, 3, 4, 5, 6)
#define TAP_BUT_LAST(size, from) X_AT(0, 2, from) X_1_5(2, from) size##_0_5(0, 1, 2, 3, 4, 5)

STRIDE_2(wide_middle_2, WIDE, 0, TAP_OF_ALL(WIDE, 0, 0), TAP_OF_ALL(WIDE, 2, 0))
STRIDE_2(wide_left_2, WIDE, -16, TAP_BUT_FIRST(WIDE), TAP_OF_ALL(WIDE, 2, -16))
STRIDE_2(wide_right_2, WIDE, 0, TAP_OF_ALL(WIDE, 0, 0), TAP_BUT_LAST(WIDE, 0))
STRIDE_2(wide_both_2, WIDE, -16, TAP_BUT_FIRST(WIDE), TAP_BUT_LAST(WIDE, -16))
STRIDE_2(narrow_middle_2, NARROW, 0, TAP_OF_ALL(NARROW, 0, 0), TAP_OF_ALL(NARROW, 2, 0))
STRIDE_2(narrow_left_2, NARROW, -16, TAP_BUT_FIRST(NARROW), TAP_OF_ALL(NARROW, 2, -16))
STRIDE_2(narrow_right_2, NARROW, 0, TAP_OF_ALL(NARROW, 0, 0), TAP_BUT_LAST(NARROW, 0))
STRIDE_2(narrow_both_2, NARROW, -16, TAP_BUT_FIRST(NARROW), TAP_BUT_LAST(NARROW, -16))

// By stride - 1, narrow, and whether the tile touches the left and the right border.
typedef void (*window_loop)(const uint8_t *input, int32_t skipped, int64_t step, int32_t rows, const blocks *all);
static const window_loop WINDOW_LOOPS[2][2][2][2] = {
    {{{wide_middle, wide_right}, {wide_left, wide_both}}, {{narrow_middle, narrow_right}, {narrow_left, narrow_both}}},
    {{{wide_middle_2, wide_right_2}, {wide_left_2, wide_both_2}},
     {{narrow_middle_2, narrow_right_2}, {narrow_left_2, narrow_both_2}}},
};

// ---- any taps
// --------------------------------------------------------------------------------------------------------
//
// The taps of a list, at least one; one an iteration. Seven pixels whose x lie `step` bytes apart; their counts are
// written.
#define NEXT_TAP "ldpsw %[at], %[w], [%[taps]], #8\n\tadd %[at], %[x], %[at]\n\tadd %[w], %[block], %[w]\n\t"
#define X_SEVEN             \
    LOAD1(0, at, "%[step]") \
    LOAD1(1, at, "%[step]") \
    LOAD1(2, at, "%[step]") \
    LOAD1(3, at, "%[step]") LOAD1(4, at, "%[step]") LOAD1(5, at, "%[step]") LOAD1(6, at, "%[step]")

#define TAPS_OF_SEVEN(name, size)                                                                                  \
    static void name(const uint8_t *x, int64_t step, const tap *list, int32_t length, const blocks *all) {         \
        FOR_BLOCKS {                                                                                               \
            const uint8_t *at, *w;                                                                                 \
            const tap *taps = list;                                                                                \
            uint16_t *counts = its;                                                                                \
            int32_t n = length;                                                                                    \
            __asm__ volatile(size##_ZERO "1:\n\t" NEXT_TAP X_SEVEN size##_0_6(0, 1, 2, 3, 4, 5, 6)                 \
                                 NEXT_OR_END size##_STORE                                                          \
                             : [at] "=&r"(at), [w] "=&r"(w), [n] "+r"(n), [counts] "+r"(counts), [taps] "+r"(taps) \
                             : [x] "r"(x), [block] "r"(block), [step] "r"(step)                                    \
                             : "memory", "cc", VECTORS);                                                           \
        }                                                                                                          \
    }

TAPS_OF_SEVEN(wide_seven, WIDE)
TAPS_OF_SEVEN(narrow_seven, NARROW)

// The same for one pixel, whose counts are added to.
#define WIDE_ONE WIDE_WEIGHTS WIDE_FIRST(0, W0) WIDE_COUNT(W0) WIDE_LAST(17, W0)
#define WIDE_TAKE "ldr q17, [%[counts]]\n\t"
#define WIDE_GIVE "str q17, [%[counts]]\n\t"
#define NARROW_ONE                                                                                              \
    NARROW_WEIGHTS LOAD4(1, 4, w, "#64") NARROW_FIRST(0, N0) NARROW_COUNT(N0) NARROW_LAST(13, N0) EOR(27, 0, 1) \
        EOR(28, 0, 2) EOR(29, 0, 3) EOR(30, 0, 4) CNT(27) CNT(28) NARROW_COUNT(N0) NARROW_LAST(20, N0)
#define NARROW_TAKE "ldr q13, [%[counts]]\n\tldr q20, [%[counts], #112]\n\t"
#define NARROW_GIVE "str q13, [%[counts]]\n\tstr q20, [%[counts], #112]\n\t"

#define TAPS_OF_ONE(name, size)                                                                                     \
    static void name(const uint8_t *x, const tap *list, int32_t length, const blocks *all) {                        \
        FOR_BLOCKS {                                                                                                \
            const uint8_t *at, *w;                                                                                  \
            const tap *taps = list;                                                                                 \
            int32_t n = length;                                                                                     \
            __asm__ volatile(size##_TAKE "1:\n\t" NEXT_TAP "ldr q0, [%[at]]\n\t" size##_ONE NEXT_OR_END size##_GIVE \
                             : [at] "=&r"(at), [w] "=&r"(w), [n] "+r"(n), [taps] "+r"(taps)                         \
                             : [x] "r"(x), [block] "r"(block), [counts] "r"(its)                                    \
                             : "memory", "cc", VECTORS);                                                            \
        }                                                                                                           \
    }

TAPS_OF_ONE(wide_one, WIDE)
TAPS_OF_ONE(narrow_one, NARROW)

#endif  // R2B_BCONV_NEON_LOOPS_H
