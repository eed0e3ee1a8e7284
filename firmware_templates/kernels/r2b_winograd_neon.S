// SPDX-License-Identifier: MIT-0
//
// r2b_winograd_neon.S: products and output transforms of r2b_fconv_winograd_neon.c, for AArch64: a group of 8 or
// of 4 tiles of 4x4 pixels, 8 output channels. See r2b_fconv_winograd_neon.h for the arguments and for what is computed.
//
// A point's sums, [tiles][8 channels], are v0-v15 (v0-v7 for 4 tiles), and two steps k of its products are a pair:
//     v16-v19    inputs of two k, all tiles
//     v20-v23    weights of two k, 8 channels
// 2 loads and 32 FMLA (16). Pairs stand one after the other up to a RET, and a point jumps in where as many are left as
// it has; its first pair begins with FMUL, and is apart.
//
// Of a row of points, all but the last two go to memory (M), and from there through the transform along x; the point 0
// and the one at infinity each reach one of its four results only, and their sums start from it. The transform along y
// then takes all rows (S: [points][4][tiles][8 channels]) to 4x4 pixels of each tile. Of the transform,
//     y0 = s1 + s2 + 2 t5 + t0             s1, d1: sum and difference of points 1 and -1
//     y1 = d1 + 2 d2 - t5                  s2, d2: of points 2 and -2
//     y2 = s1 + 4 s2 + t5 / 2              t5: point -1/2
//     y3 = d1 + 8 d2 - t5 / 4 + t_inf      t0, t_inf: points 0 and infinity
// and with 5 points, which have neither -2 nor -1/2, y0 = s1 + t2 + t0, y1 = d1 + 2 t2, y2 = s1 + 4 t2,
// y3 = d1 + 8 t2 + t_inf.
//
//   x0 inputs     x1 weights    x2 bias, then 0    x3 M    x4 output    x5 x6 x7 bytes of an output row, 4 pixels, 1 pixel
//   x8 rows left  x9-x13 x15 addresses             x16 S           x17 a step, in bytes
//   x10 x11 x12   where a point of n - 1, n pairs and one at infinity jump in           v30 v31 constants
#ifdef R2B_HOT_CODE_SECTION
    .section R2B_HOT_CODE_SECTION, "ax", %progbits
#else
    .text
#endif

#define ONE(op, low, high, wl, wh, x, i)       \
    op v##low.4s, v##wl.4s, v##x.s[i];         \
    op v##high.4s, v##wh.4s, v##x.s[i];
#define LOWER(op, wl, wh, x)                   \
    ONE(op, 0, 1, wl, wh, x, 0)                \
    ONE(op, 2, 3, wl, wh, x, 1)                \
    ONE(op, 4, 5, wl, wh, x, 2)                \
    ONE(op, 6, 7, wl, wh, x, 3)
#define UPPER(op, wl, wh, x)                   \
    ONE(op, 8, 9, wl, wh, x, 0)                \
    ONE(op, 10, 11, wl, wh, x, 1)              \
    ONE(op, 12, 13, wl, wh, x, 2)              \
    ONE(op, 14, 15, wl, wh, x, 3)

    .macro PAIR tiles, first
    .if \tiles == 8
    ld1 {v16.4s-v19.4s}, [x0], #64
    ld1 {v20.4s-v23.4s}, [x1], #64
    LOWER(\first, 20, 21, 16)
    UPPER(\first, 20, 21, 17)
    LOWER(fmla, 22, 23, 18)
    UPPER(fmla, 22, 23, 19)
    .else
    ld1 {v16.4s-v17.4s}, [x0], #32
    ld1 {v20.4s-v23.4s}, [x1], #64
    LOWER(\first, 20, 21, 16)
    LOWER(fmla, 22, 23, 17)
    .endif
    .endm

    .macro SUMS what, tiles, at
    \what {v0.4s-v3.4s}, [\at], #64
    \what {v4.4s-v7.4s}, [\at], #64
    .if \tiles == 8
    \what {v8.4s-v11.4s}, [\at], #64
    \what {v12.4s-v15.4s}, [\at], #64
    .endif
    .endm

// An operation on four vectors each: on lists of registers, or with element i of c.
#define FOUR(op, to, a, b) FOUR_(op, to, a, b)
#define FOUR_(op, o0, o1, o2, o3, a0, a1, a2, a3, b0, b1, b2, b3) \
    op v##o0.4s, v##a0.4s, v##b0.4s;           \
    op v##o1.4s, v##a1.4s, v##b1.4s;           \
    op v##o2.4s, v##a2.4s, v##b2.4s;           \
    op v##o3.4s, v##a3.4s, v##b3.4s;
#define ADD_TIMES(to, a, c, i) ADD_TIMES_(to, a, c, i)
#define ADD_TIMES_(o0, o1, o2, o3, a0, a1, a2, a3, c, i) \
    fmla v##o0.4s, v##a0.4s, v##c.s[i];        \
    fmla v##o1.4s, v##a1.4s, v##c.s[i];        \
    fmla v##o2.4s, v##a2.4s, v##c.s[i];        \
    fmla v##o3.4s, v##a3.4s, v##c.s[i];
#define A 0, 1, 2, 3
#define B 4, 5, 6, 7
#define C 8, 9, 10, 11
#define D 12, 13, 14, 15
#define E 16, 17, 18, 19
#define T 20, 21, 22, 23

// Four vectors of each point but the last two, from x15 on and x17 apart, to y0 in C, y1 in A, y2 in T and y3 in B.
    .macro TRANSFORM points
    ld1 {v0.4s-v3.4s}, [x15], x17
    ld1 {v4.4s-v7.4s}, [x15], x17
    .if \points == 7
    ld1 {v8.4s-v11.4s}, [x15], x17
    ld1 {v12.4s-v15.4s}, [x15], x17
    .endif
    ld1 {v16.4s-v19.4s}, [x15], x17
    FOUR(fadd, T, A, B)
    FOUR(fsub, B, A, B)
    .if \points == 7
    FOUR(fadd, A, C, D)
    FOUR(fsub, D, C, D)
    FOUR(fadd, C, T, A)
    ADD_TIMES(T, A, 30, 1)
    FOUR(fsub, A, B, E)
    ADD_TIMES(C, E, 30, 0)
    ADD_TIMES(T, E, 30, 3)
    ADD_TIMES(A, D, 30, 0)
    ADD_TIMES(B, D, 30, 2)
    ADD_TIMES(B, E, 31, 0)
    .else
    FOUR(fadd, C, T, E)
    mov v0.16b, v4.16b
    mov v1.16b, v5.16b
    mov v2.16b, v6.16b
    mov v3.16b, v7.16b
    ADD_TIMES(T, E, 30, 1)
    ADD_TIMES(A, E, 30, 0)
    ADD_TIMES(B, E, 30, 2)
    .endif
    .endm

// r2b_winograd_<points>_<tiles>
    .macro GROUP points, tiles, pair_bytes
    .global r2b_winograd_\points\()_\tiles
    .type r2b_winograd_\points\()_\tiles, %function
    .p2align 4
r2b_winograd_\points\()_\tiles:
    stp d8, d9, [sp, #-80]!
    stp d10, d11, [sp, #16]
    stp d12, d13, [sp, #32]
    stp d14, d15, [sp, #48]
    str x30, [sp, #64]
    adr x9, .Lconstants
    ldp q30, q31, [x9]
    lsr x15, x6, #2             // the channels of the input come in x7, bytes of a pixel are x6 / 4
    mov w14, #\pair_bytes
    adr x9, .Lpairs_\points\()_\tiles
    msub x12, x7, x14, x9       // a point of finite y at infinity, or the other way round: as many pairs as channels
    msub x11, x7, x14, x12      // both finite: twice as many
    add x10, x11, x14
    add w13, w7, #1             // both at infinity: half, rounded up
    lsr w13, w13, #1
    msub x13, x13, x14, x9
    mov x7, x15
    mov x17, #\tiles * 32
    mov w8, #\points
    add x16, x3, #(\points - 2) * \tiles * 32
1:  // a row of points
    cmp w8, #1
    b.ne 2f
    mov x11, x12                // the last one
    add x10, x12, #\pair_bytes
    mov x12, x13
2:
    mov x15, x3
    cbz x2, 3f
    ld1 {v0.4s-v1.4s}, [x2]     // point (1, 1) reaches all results, once: the bias comes with it
    ld1 {v2.4s-v3.4s}, [x2]
    ld1 {v4.4s-v5.4s}, [x2]
    ld1 {v6.4s-v7.4s}, [x2]
    .if \tiles == 8
    ld1 {v8.4s-v9.4s}, [x2]
    ld1 {v10.4s-v11.4s}, [x2]
    ld1 {v12.4s-v13.4s}, [x2]
    ld1 {v14.4s-v15.4s}, [x2]
    .endif
    mov x2, #0
    blr x11
    b 4f
3:
    PAIR \tiles, fmul
    blr x10
4:
    SUMS st1, \tiles, x15
    .rept \points - 3
    PAIR \tiles, fmul
    blr x10
    SUMS st1, \tiles, x15
    .endr
    mov x15, x3
    .rept \tiles / 2
    TRANSFORM \points
    st1 {v8.4s-v11.4s}, [x16], x17
    st1 {v0.4s-v3.4s}, [x16], x17
    st1 {v20.4s-v23.4s}, [x16], x17
    st1 {v4.4s-v7.4s}, [x16], x17
    sub x15, x15, #(\points - 2) * \tiles * 32 - 64
    sub x16, x16, #4 * \tiles * 32 - 64
    .endr
    sub x9, x16, #\tiles * 32   // y0, and point 0
    mov x15, x9
    SUMS ld1, \tiles, x15
    blr x11
    SUMS st1, \tiles, x9
    add x9, x16, #2 * \tiles * 32   // y3, and the point at infinity
    mov x15, x9
    SUMS ld1, \tiles, x15
    blr x12
    SUMS st1, \tiles, x9
    mov x16, x9
    subs w8, w8, #1
    b.ne 1b

    add x15, x3, #(\points - 2) * \tiles * 32
    lsl x17, x17, #2
    mov x16, #4 * \points * \tiles * 32 - 64
    mov w8, #4
5:  // a column of pixels
    mov x9, x4
    add x10, x9, x5
    add x11, x10, x5
    add x12, x11, x5
    add x4, x4, x7
    .rept \tiles / 2
    TRANSFORM \points
    ld1 {v12.4s-v15.4s}, [x15], x17
    ld1 {v16.4s-v19.4s}, [x15], x17
    FOUR(fadd, C, C, D)
    FOUR(fadd, B, B, E)
    st1 {v8.4s-v9.4s}, [x9], x6
    st1 {v0.4s-v1.4s}, [x10], x6
    st1 {v20.4s-v21.4s}, [x11], x6
    st1 {v4.4s-v5.4s}, [x12], x6
    st1 {v10.4s-v11.4s}, [x9], x6
    st1 {v2.4s-v3.4s}, [x10], x6
    st1 {v22.4s-v23.4s}, [x11], x6
    st1 {v6.4s-v7.4s}, [x12], x6
    sub x15, x15, x16
    .endr
    subs w8, w8, #1
    b.ne 5b
    ldr x30, [sp, #64]
    ldp d14, d15, [sp, #48]
    ldp d12, d13, [sp, #32]
    ldp d10, d11, [sp, #16]
    ldp d8, d9, [sp], #80
    ret
    .rept 8                     // as many as 4 channels need
    PAIR \tiles, fmla
    .endr
.Lpairs_\points\()_\tiles:
    ret
    .size r2b_winograd_\points\()_\tiles, . - r2b_winograd_\points\()_\tiles
    .endm

    .p2align 4
.Lconstants:
    .float 2, 4, 8, 0.5, -0.25, 0, 0, 0

    GROUP 7, 8, 136
    GROUP 7, 4, 72
    GROUP 5, 8, 136
    GROUP 5, 4, 72

    .section .note.GNU-stack, "", %progbits
