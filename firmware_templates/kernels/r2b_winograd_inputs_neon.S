// SPDX-License-Identifier: MIT-0
//
// r2b_winograd_inputs_neon.S: the two loops of r2b_fconv_winograd_neon_input.h for the commonest case, 7 points: along x
// for 8 tiles, and along y for 3 channels. The transform of d0..d6 (see r2b_fconv_winograd_neon.h), e_i = d_(i+1) + d_i / 2:
//     r(-1/2) = d5 - d3 + 4 (d1 - d3)     r(+-1) = e4 - 4 e2 +- (e3 - 4 e1)     r(0)   = e4 - 5 e2 + 4 e0
//     r(inf)  = e5 - 5 e3 + 4 e1          r(+-2) = e4 - e2 +- 2 (e3 - e1)
// in an order in which each FMLA adds to what nobody needs any more. An odd parity has no r(inf) and no d6.
#ifdef R2B_HOT_CODE_SECTION
    .section R2B_HOT_CODE_SECTION, "ax", %progbits
#else
    .text
#endif

// r(1), r(-1), r(2), r(-2), r(-1/2), r(0), r(inf) of d0..d6 in d0, d1, d2, t, u, d3, d6. v30: 1/2, 4.
    .macro TRANSFORM last, d0, d1, d2, d3, d4, d5, d6, t, u
    fsub v\u\().4s, v\d5\().4s, v\d3\().4s
    fsub v\t\().4s, v\d1\().4s, v\d3\().4s
    fmla v\u\().4s, v\t\().4s, v30.s[1]
    .if \last
    fmla v\d6\().4s, v\d5\().4s, v30.s[0]
    .endif
    fmla v\d5\().4s, v\d4\().4s, v30.s[0]
    fmla v\d4\().4s, v\d3\().4s, v30.s[0]
    fmla v\d3\().4s, v\d2\().4s, v30.s[0]
    fmla v\d2\().4s, v\d1\().4s, v30.s[0]
    fmla v\d1\().4s, v\d0\().4s, v30.s[0]
    fsub v\t\().4s, v\d5\().4s, v\d3\().4s
    fsub v\d0\().4s, v\d4\().4s, v\d2\().4s
    fadd v\d0\().4s, v\d0\().4s, v\d0\().4s
    .if \last
    fmls v\d6\().4s, v\d4\().4s, v30.s[1]
    .endif
    fmls v\d5\().4s, v\d3\().4s, v30.s[1]
    fmls v\d4\().4s, v\d2\().4s, v30.s[1]
    .if \last
    fsub v\d6\().4s, v\d6\().4s, v\d4\().4s
    .endif
    fsub v\d3\().4s, v\d5\().4s, v\d3\().4s
    fmla v\d3\().4s, v\d1\().4s, v30.s[1]
    fadd v\d2\().4s, v\t\().4s, v\d0\().4s
    fsub v\t\().4s, v\t\().4s, v\d0\().4s
    fadd v\d0\().4s, v\d5\().4s, v\d4\().4s
    fsub v\d1\().4s, v\d5\().4s, v\d4\().4s
    .endm

    .macro ALONG_X last
    ld4 {v0.4s-v3.4s}, [x0], x16
    ld4 {v4.4s-v7.4s}, [x0], x17
    ld4 {v16.4s-v19.4s}, [x0], x16
    ld4 {v20.4s-v23.4s}, [x0], x1
    TRANSFORM \last, 0, 1, 2, 3, 4, 5, 6, 24, 25
    TRANSFORM \last, 16, 17, 18, 19, 20, 21, 22, 26, 27
    stp q0, q16, [x4], #32
    stp q1, q17, [x5], #32
    stp q2, q18, [x6], #32
    stp q24, q26, [x7], #32
    stp q25, q27, [x8], #32
    stp q3, q19, [x9], #32
    .if \last
    stp q6, q22, [x10], #32
    .endif
    .endm

// void r2b_winograd_inputs_7_8(const float *planes, int64_t plane, float *inputs, int64_t channels)
//   x0 planes    x1 from a row's last load to the next row    x2 inputs    x3 channels    x4-x10 the points' places
//   x11 points left    x12 channels left    x13 parities left    x14 of them    x15 from a point to the next    x16 16    x17 48
    .global r2b_winograd_inputs_7_8
    .type r2b_winograd_inputs_7_8, %function
    .p2align 4
r2b_winograd_inputs_7_8:
    adr x9, .Lconstants
    ldr q30, [x9]
    mov x16, #16
    mov x17, #48
    lsl x1, x1, #2
    sub x1, x1, #80
    mov w11, #7
    mov w14, #2
1:  // a row of points
    lsl x15, x3, #7             // 4 parities, 8 tiles of 4 bytes
    cmp w11, #1
    b.ne 2f
    lsl x15, x3, #6             // the last row has 2
    mov w14, #1
2:
    mov x4, x2
    add x5, x4, x15
    add x6, x5, x15
    add x7, x6, x15
    add x8, x7, x15
    add x9, x8, x15
    add x10, x9, x15
    mov w13, w14
3:
    mov w12, w3
4:
    ALONG_X 1
    subs w12, w12, #1
    b.ne 4b
    mov w12, w3
5:
    ALONG_X 0
    subs w12, w12, #1
    b.ne 5b
    subs w13, w13, #1
    b.ne 3b
    mov x2, x10
    subs w11, w11, #1
    b.ne 1b
    tbz w3, #0, 6f
    stp xzr, xzr, [x2]          // the step that makes their number even
    stp xzr, xzr, [x2, #16]
6:
    ret
    .size r2b_winograd_inputs_7_8, . - r2b_winograd_inputs_7_8

    .macro ROWS last
    ld1 {v0.4s-v1.4s}, [x9], x1
    ld1 {v2.4s-v3.4s}, [x9], x1
    ld1 {v4.4s-v5.4s}, [x9], x1
    ld1 {v6.4s-v7.4s}, [x9], x1
    ld1 {v16.4s-v17.4s}, [x9], x1
    ld1 {v18.4s-v19.4s}, [x9], x1
    .if \last
    ld1 {v20.4s-v21.4s}, [x9], x1
    .endif
    .endm

// Two vectors of each row, `at` bytes from the first ones, to the results on the stack, 96 bytes a point.
    .macro ALONG_Y last, at
    add x9, x0, #\at
    ROWS \last
    TRANSFORM \last, 0, 2, 4, 6, 16, 18, 20, 24, 25
    TRANSFORM \last, 1, 3, 5, 7, 17, 19, 21, 26, 27
    stp q0, q1, [sp, #\at]
    stp q2, q3, [sp, #\at + 96]
    stp q4, q5, [sp, #\at + 192]
    stp q24, q26, [sp, #\at + 288]
    stp q25, q27, [sp, #\at + 384]
    stp q6, q7, [sp, #\at + 480]
    .if \last
    stp q20, q21, [sp, #\at + 576]
    .endif
    .endm

// 8 pixels of a point, taken apart into 6 planes.
    .macro PART
    ld3 {v0.4s-v2.4s}, [x9], #48
    ld3 {v4.4s-v6.4s}, [x9], #48
    uzp1 v16.4s, v0.4s, v4.4s
    uzp1 v17.4s, v1.4s, v5.4s
    uzp1 v18.4s, v2.4s, v6.4s
    uzp2 v19.4s, v0.4s, v4.4s
    uzp2 v20.4s, v1.4s, v5.4s
    uzp2 v21.4s, v2.4s, v6.4s
    st1 {v16.4s}, [x10], x3
    st1 {v17.4s}, [x10], x3
    st1 {v18.4s}, [x10], x3
    st1 {v19.4s}, [x10], x3
    st1 {v20.4s}, [x10], x3
    st1 {v21.4s}, [x10], x4
    .endm

// void r2b_winograd_columns_7_3(const float *x, int64_t row, float *planes, int64_t plane)
//   x0 the first of 8 columns in the first row    x1 bytes of two rows    x2 planes    x3 bytes of a plane
//   x4 from a point's last plane to the next point's first one    x5 the second row    x9 x10 addresses
    .global r2b_winograd_columns_7_3
    .type r2b_winograd_columns_7_3, %function
    .p2align 4
r2b_winograd_columns_7_3:
    adr x9, .Lconstants
    ldr q30, [x9]
    sub sp, sp, #672
    lsl x3, x3, #2
    add x5, x0, x1, lsl #2
    lsl x1, x1, #3
    add x4, x3, x3, lsl #1
    add x10, x2, x4, lsl #1     // 6 planes on: the odd rows
    add x4, x3, x4, lsl #1      // 7
    mov x6, x10
    mov x10, x2
    ALONG_Y 1, 0
    ALONG_Y 1, 32
    ALONG_Y 1, 64
    mov x9, sp
    .rept 7
    PART
    .endr
    mov x0, x5
    mov x10, x6
    ALONG_Y 0, 0
    ALONG_Y 0, 32
    ALONG_Y 0, 64
    mov x9, sp
    .rept 6
    PART
    .endr
    add sp, sp, #672
    ret
    .size r2b_winograd_columns_7_3, . - r2b_winograd_columns_7_3

    .p2align 4
.Lconstants:
    .float 0.5, 4, 0, 0

    .section .note.GNU-stack, "", %progbits
