// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_neon_loops.h: the loops of r2b_fconv_neon.c, which includes it once for each storage of the weights.
//     NAME(loop)           what a loop, or their table, is called.
//     W4(a, b, c, d, w)    loads 16 weights from w to these four registers, and moves w on.
//     W2(a, b, w)          loads 8.

static void NAME(four_pixels_two_blocks)(const job *j) {
    const uint8_t *x0 = (const uint8_t *)j->x, *x1 = x0 + j->pixel_x, *x2 = x1 + j->pixel_x, *x3 = x2 + j->pixel_x;
    const uint8_t *w0 = j->w, *w1 = w0 + j->block;
    const float *bias = j->bias;
    float *to = j->to;
    int32_t rows = j->rows, n;
    __asm__ volatile(
        LD1X4(0, 3, bias)
        MOVE(4, 0) MOVE(5, 1) MOVE(6, 2) MOVE(7, 3) MOVE(8, 0) MOVE(9, 1) MOVE(10, 2) MOVE(11, 3)
        MOVE(12, 0) MOVE(13, 1) MOVE(14, 2) MOVE(15, 3)
        LOOP(X4("q", "16") W4(16, 17, 18, 19, w0) W4(20, 21, 22, 23, w1) W4(28, 29, 30, 31, w0)
             WIDE(0, 16, 17, 20, 21) WIDE(1, 18, 19, 22, 23) W4(20, 21, 22, 23, w1)
             WIDE(2, 28, 29, 20, 21) WIDE(3, 30, 31, 22, 23),
             X4("s", "4") W2(16, 17, w0) W2(20, 21, w1) WIDE(0, 16, 17, 20, 21), NEXT_X4 NEXT_W2)
        "st1 {v0.4s-v3.4s}, [%[to]], %[pitch]\n\tst1 {v4.4s-v7.4s}, [%[to]], %[pitch]\n\t"
        "st1 {v8.4s-v11.4s}, [%[to]], %[pitch]\n\tst1 {v12.4s-v15.4s}, [%[to]]\n\t"
        : [x0] "+r"(x0), [x1] "+r"(x1), [x2] "+r"(x2), [x3] "+r"(x3), [w0] "+r"(w0), [w1] "+r"(w1), [bias] "+r"(bias),
          [to] "+r"(to), [rows] "+r"(rows), [n] "=&r"(n)
        : [run] "r"(j->run), [next_x] "r"(j->next_x), [next_w] "r"(j->next_w), [pitch] "r"(j->pitch)
        : CLOBBERED);
}

static void NAME(four_pixels_one_block)(const job *j) {
    const uint8_t *x0 = (const uint8_t *)j->x, *x1 = x0 + j->pixel_x, *x2 = x1 + j->pixel_x, *x3 = x2 + j->pixel_x;
    const uint8_t *w0 = j->w;
    const float *bias = j->bias;
    float *to = j->to;
    int32_t rows = j->rows, n;
    __asm__ volatile(
        LD1X2(0, 1, bias) MOVE(4, 0) MOVE(5, 1) MOVE(8, 0) MOVE(9, 1) MOVE(12, 0) MOVE(13, 1)
        LOOP(X4("q", "16") W4(16, 17, 18, 19, w0) W4(28, 29, 30, 31, w0)
             NARROW(0, 16, 17) NARROW(1, 18, 19) NARROW(2, 28, 29) NARROW(3, 30, 31),
             X4("s", "4") W2(16, 17, w0) NARROW(0, 16, 17), NEXT_X4 NEXT_W1)
        "st1 {v0.4s, v1.4s}, [%[to]], %[pitch]\n\tst1 {v4.4s, v5.4s}, [%[to]], %[pitch]\n\t"
        "st1 {v8.4s, v9.4s}, [%[to]], %[pitch]\n\tst1 {v12.4s, v13.4s}, [%[to]]\n\t"
        : [x0] "+r"(x0), [x1] "+r"(x1), [x2] "+r"(x2), [x3] "+r"(x3), [w0] "+r"(w0), [bias] "+r"(bias), [to] "+r"(to),
          [rows] "+r"(rows), [n] "=&r"(n)
        : [run] "r"(j->run), [next_x] "r"(j->next_x), [next_w] "r"(j->next_w), [pitch] "r"(j->pitch)
        : CLOBBERED);
}

static void NAME(one_pixel_two_blocks)(const job *j) {
    const uint8_t *x0 = (const uint8_t *)j->x;
    const uint8_t *w0 = j->w, *w1 = w0 + j->block;
    const float *bias = j->bias;
    int32_t rows = j->rows, n;
    __asm__ volatile(
        LD1X4(0, 3, bias) LOOP(
            X1("q", "16") W4(16, 17, 18, 19, w0) W4(20, 21, 22, 23, w1) TWO_BLOCKS(0, 1, 2, 3, 24, 0, 16, 17, 20, 21)
                W4(28, 29, 30, 31, w0) TWO_BLOCKS(0, 1, 2, 3, 24, 1, 18, 19, 22, 23) W4(20, 21, 22, 23, w1)
                    TWO_BLOCKS(0, 1, 2, 3, 24, 2, 28, 29, 20, 21) TWO_BLOCKS(0, 1, 2, 3, 24, 3, 30, 31, 22, 23),
            X1("s", "4") W2(16, 17, w0) W2(20, 21, w1) TWO_BLOCKS(0, 1, 2, 3, 24, 0, 16, 17, 20, 21),
            NEXT_X1 NEXT_W2) "st1 {v0.4s-v3.4s}, [%[to]]\n\t"
        : [x0] "+r"(x0), [w0] "+r"(w0), [w1] "+r"(w1), [bias] "+r"(bias), [rows] "+r"(rows), [n] "=&r"(n)
        : [run] "r"(j->run), [next_x] "r"(j->next_x), [next_w] "r"(j->next_w), [to] "r"(j->to)
        : CLOBBERED);
}

static void NAME(one_pixel_one_block)(const job *j) {
    const uint8_t *x0 = (const uint8_t *)j->x;
    const uint8_t *w0 = j->w;
    const float *bias = j->bias;
    int32_t rows = j->rows, n;
    __asm__ volatile(LD1X2(0, 1, bias) LOOP(X1("q", "16") W4(16, 17, 18, 19, w0) W4(28, 29, 30, 31, w0)
                                                ONE_BLOCK(0, 1, 24, 0, 16, 17) ONE_BLOCK(0, 1, 24, 1, 18, 19)
                                                    ONE_BLOCK(0, 1, 24, 2, 28, 29) ONE_BLOCK(0, 1, 24, 3, 30, 31),
                                            X1("s", "4") W2(16, 17, w0) ONE_BLOCK(0, 1, 24, 0, 16, 17),
                                            NEXT_X1 NEXT_W1) "st1 {v0.4s, v1.4s}, [%[to]]\n\t"
                     : [x0] "+r"(x0), [w0] "+r"(w0), [bias] "+r"(bias), [rows] "+r"(rows), [n] "=&r"(n)
                     : [run] "r"(j->run), [next_x] "r"(j->next_x), [next_w] "r"(j->next_w), [to] "r"(j->to)
                     : CLOBBERED);
}

static const loop NAME(LOOPS)[2][2] = {
    // [4 pixels][2 blocks]
    {NAME(one_pixel_one_block), NAME(one_pixel_two_blocks)},
    {NAME(four_pixels_one_block), NAME(four_pixels_two_blocks)},
};
