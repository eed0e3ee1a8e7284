// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_csa.c: binary convolution for cores without a population count, by carry-save adders; any shape.
//
// The 32 bits of a word are 32 lanes, each of which counts its differing bits. A lane's count is spread over planes:
// its bits of `ones`, `twos`, `fours` and so on. A full adder takes three words of one weight and gives one of the same
// weight and a carry of twice the weight, in all lanes at once, so that n words cost about n full adders, of 5
// operations each, and one sum over the lanes at the end:
//     u = a ^ b,  v = a ^ c,  sum = u ^ c,  carry = majority(a, b, c) = sum ^ (u | v)
// since u | v is 0 where all three are equal, and there the majority is the sum; elsewhere it is not.
#include <string.h>

#include "r2b_bconv_row.h"

#if defined(__GNUC__)
// The compiler forgets what it knows of a value. GCC would turn (v >> 1) & 0x55555555, one instruction with the mask
// in a register, into (v & 0xaaaaaaaa) >> 1, which is two; and it would keep a second copy of a pointer.
#define OPAQUE(v) __asm__("" : "+r"(v))
// Loads stay behind it: hoisted, they would need more registers than there are.
#define LOADS_STAY __asm__ volatile("" ::: "memory")
#define NOINLINE __attribute__((noinline))
#else
#define OPAQUE(v) ((void)0)
#define LOADS_STAY ((void)0)
#endif

enum {
    MOST_WORDS = 63,  // what the planes can count
    BLOCK = 8,        // words that are added together
    PIECE = 56,       // whole blocks
    FEW = 7,
    NINE = 9,  // words of a 3x3 kernel on up to 32 channels
};

typedef struct {
    uint32_t ones;
    uint32_t twos;
    uint32_t fours;
    uint32_t eights;
    uint32_t sixteens;
    uint32_t thirty_twos;
} planes;

typedef struct {
    uint32_t sum;
    uint32_t carry;
} added;

static inline added full_add(uint32_t a, uint32_t b, uint32_t c) {
    const uint32_t u = a ^ b;
    const uint32_t v = a ^ c;
    const uint32_t sum = u ^ c;
    return (added){sum, sum ^ (u | v)};
}

static inline added half_add(uint32_t a, uint32_t b) {
    return (added){a ^ b, a & b};
}

// Each of these adds some words; they cost less where planes are known to be 0.

static inline void add_eights(planes *p, uint32_t b) {
    const added eights = half_add(p->eights, b);
    const added sixteens = half_add(p->sixteens, eights.carry);
    p->eights = eights.sum;
    p->sixteens = sixteens.sum;
    p->thirty_twos |= sixteens.carry;  // a lane passes 32 once at most
}

static inline void add_fours(planes *p, uint32_t b) {
    const added fours = half_add(p->fours, b);
    p->fours = fours.sum;
    add_eights(p, fours.carry);
}

static inline void add_twos(planes *p, uint32_t b) {
    const added twos = half_add(p->twos, b);
    p->twos = twos.sum;
    add_fours(p, twos.carry);
}

static inline uint32_t add_two_words(planes *p, const uint32_t *x, const uint32_t *w) {  // gives twos
    LOADS_STAY;
    const added ones = full_add(p->ones, x[0] ^ w[0], x[1] ^ w[1]);
    p->ones = ones.sum;
    return ones.carry;
}

static inline uint32_t add_four_words(planes *p, const uint32_t *x, const uint32_t *w) {  // gives fours
    const uint32_t first = add_two_words(p, x, w);
    const added twos = full_add(p->twos, first, add_two_words(p, x + 2, w + 2));
    p->twos = twos.sum;
    return twos.carry;
}

static inline uint32_t add_block(planes *p, const uint32_t *x, const uint32_t *w) {  // gives eights
    const uint32_t first = add_four_words(p, x, w);
    const added fours = full_add(p->fours, first, add_four_words(p, x + 4, w + 4));
    p->fours = fours.sum;
    return fours.carry;
}

static inline added add_three_words(const uint32_t *x, const uint32_t *w) {
    LOADS_STAY;
    return full_add(x[0] ^ w[0], x[1] ^ w[1], x[2] ^ w[2]);
}

static inline void add_nine(planes *p, const uint32_t *x, const uint32_t *w) {
    const added a = add_three_words(x, w);
    const added b = add_three_words(x + 3, w + 3);
    const added c = add_three_words(x + 6, w + 6);
    const added s = full_add(a.sum, b.sum, c.sum);
    const added t = full_add(a.carry, b.carry, c.carry);
    const added ones = half_add(p->ones, s.sum);
    p->ones = ones.sum;
    const added more = full_add(p->twos, s.carry, t.sum);
    const added twos = half_add(more.sum, ones.carry);
    p->twos = twos.sum;
    const added four = full_add(t.carry, more.carry, twos.carry);
    const added fours = half_add(p->fours, four.sum);
    p->fours = fours.sum;
    const added eights = full_add(p->eights, four.carry, fours.carry);
    p->eights = eights.sum;
    const added sixteens = half_add(p->sixteens, eights.carry);
    p->sixteens = sixteens.sum;
    p->thirty_twos |= sixteens.carry;
}

static inline void add_words(planes *p, const uint32_t *x, const uint32_t *w, int32_t words) {
    for (; words >= BLOCK; words -= BLOCK) {
        add_eights(p, add_block(p, x, w));
        x += BLOCK;
        w += BLOCK;
        OPAQUE(x);
        OPAQUE(w);
    }
    if ((words & 4) != 0) {
        add_fours(p, add_four_words(p, x, w));
        x += 4;
        w += 4;
        OPAQUE(x);
        OPAQUE(w);
    }
    if ((words & 2) != 0) {
        add_twos(p, add_two_words(p, x, w));
        x += 2;
        w += 2;
        OPAQUE(x);
        OPAQUE(w);
    }
    if ((words & 1) != 0) {
        const added ones = half_add(p->ones, *x ^ *w);
        p->ones = ones.sum;
        add_twos(p, ones.carry);
    }
}

#define SINGLES 0x55555555u
#define PAIRS 0x33333333u
#define NIBBLES 0x0f0f0f0fu

static inline uint32_t lanes_of_two(uint32_t v, uint32_t mask) {
    return v - ((v >> 1) & mask);
}  // 16 fields of 0..2

static inline uint32_t nibbles_of(uint32_t v, uint32_t mask) {
    return (v & mask) + ((v >> 2) & mask);
}

static inline uint32_t sum_of_lanes(const planes *p) {
    uint32_t singles = SINGLES;
    uint32_t pairs = PAIRS;
    uint32_t nibbles = NIBBLES;
    uint32_t bytes = 0x00ff00ffu;
    OPAQUE(singles);
    const uint32_t ones = lanes_of_two(p->ones, singles);
    const uint32_t twos = lanes_of_two(p->twos, singles);
    const uint32_t fours = lanes_of_two(p->fours, singles);
    const uint32_t eights = lanes_of_two(p->eights, singles);
    // 8 fields of at most 4 + 2 * 4 = 12, then 4 fields of 24 and of 24 + 4 * 24 = 120.
    OPAQUE(pairs);
    uint32_t low = nibbles_of(ones, pairs) + 2 * nibbles_of(twos, pairs);
    uint32_t high = nibbles_of(fours, pairs) + 2 * nibbles_of(eights, pairs);
    OPAQUE(nibbles);
    low = (low & nibbles) + ((low >> 4) & nibbles);
    high = (high & nibbles) + ((high >> 4) & nibbles);
    uint32_t sum = low + 4 * high;
    OPAQUE(bytes);
    sum = (sum & bytes) + ((sum >> 8) & bytes);
    sum = (sum * 0x00010001u) >> 16;
    if ((p->sixteens | p->thirty_twos) != 0) {
        const uint32_t sixteens = lanes_of_two(p->sixteens, singles);
        const uint32_t more = lanes_of_two(p->thirty_twos, singles);
        low = nibbles_of(sixteens, pairs) + 2 * nibbles_of(more, pairs);
        low = (low & nibbles) + ((low >> 4) & nibbles);
        sum += (low * 0x01010101u) >> 24 << 4;
    }
    return sum;
}

// The dot products where x and w are one run of so many times nine words: planes that a constant keeps at 0 vanish.
static inline void dots_of_nines(const uint32_t *x, const uint32_t *w, int32_t stride, int32_t nines, int32_t taps,
                                 int32_t outputs, float *out) {
    const float *const end = out + outputs;
    do {
        planes p = {0};
        const uint32_t *xi = x;
        const uint32_t *wi = w;
        add_nine(&p, xi, wi);
        for (int32_t i = 1; i < nines; i++) {
            xi += NINE;
            wi += NINE;
            OPAQUE(xi);
            OPAQUE(wi);
            add_nine(&p, xi, wi);
        }
        *out++ = (float)(taps - 2 * (int32_t)sum_of_lanes(&p));
        w += stride;
    } while (out < end);
}

// The dot products where x and w are one run of at most FEW words: three planes are enough.
static void dots_of_few(const uint32_t *x, const uint32_t *w, int32_t stride, int32_t words, int32_t taps,
                        int32_t outputs, float *out) {
    const float *const end = out + outputs;
    const uint32_t *const end_of_x = x + words;
    do {
        uint32_t ones = 0;
        uint32_t twos = 0;
        uint32_t fours = 0;
        const uint32_t *wi = w;
        for (const uint32_t *xi = x; xi < end_of_x; xi++) {
            const added a = half_add(ones, *xi ^ *wi++);
            const added b = half_add(twos, a.carry);
            ones = a.sum;
            twos = b.sum;
            fours ^= b.carry;
        }
        // Fields of 4 bits: at most 12 and 4; then 4 bytes of at most 24 + 4 * 8, and their sum is at most 224.
        const uint32_t low =
            nibbles_of(lanes_of_two(ones, SINGLES), PAIRS) + 2 * nibbles_of(lanes_of_two(twos, SINGLES), PAIRS);
        const uint32_t high = nibbles_of(lanes_of_two(fours, SINGLES), PAIRS);
        const uint32_t sum = (low & NIBBLES) + ((low >> 4) & NIBBLES) + 4 * ((high + (high >> 4)) & NIBBLES);
        *out++ = (float)(taps - 2 * (int32_t)((sum * 0x01010101u) >> 24));
        w += stride;
    } while (out < end);
}

// Adds so many runs. Where the number of words is a constant, its adders follow each other without tests.
static inline void add_runs(planes *p, const uint32_t *x, const uint32_t *w, int32_t stride, int32_t count,
                            int32_t words) {
    for (; count > 0; count--) {
        add_words(p, x, w, words);
        x += stride;
        w += stride;
        OPAQUE(x);
        OPAQUE(w);
    }
}

// The differing bits of at most MOST_WORDS words.
static NOINLINE uint32_t differing(const uint32_t *x, const uint32_t *w, const r2b_runs *r) {
    planes p = {0};
    if (r->words == 2) {
        add_runs(&p, x, w, r->stride, r->count, 2);
    } else if (r->words == 4) {
        add_runs(&p, x, w, r->stride, r->count, 4);
    } else {
        add_runs(&p, x, w, r->stride, r->count, r->words);
    }
    return sum_of_lanes(&p);
}

// Any runs; those that are too much for the planes one by one, in pieces.
static void dots_of_runs(const uint32_t *x, const uint32_t *w, int32_t stride, const r2b_runs *r, int32_t taps,
                         int32_t outputs, float *out) {
    const int is_one_piece = r->count * r->words <= MOST_WORDS;
    for (int32_t o = 0; o < outputs; o++) {
        uint32_t sum = 0;
        if (is_one_piece) {
            sum = differing(x, w, r);
        } else {
            for (int32_t i = 0; i < r->count; i++) {
                for (int32_t k = 0; k < r->words; k += PIECE) {
                    const int32_t at = i * r->stride + k;
                    const r2b_runs piece = {0, 0, r->words - k < PIECE ? r->words - k : PIECE, 1};
                    sum += differing(x + at, w + at, &piece);
                }
            }
        }
        out[o] = (float)(taps - 2 * (int32_t)sum);
        w += stride;
    }
}

#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2
// In assembly, r2b_csa_dots_v7m.S, which knows the places of these members.
typedef struct {
    const uint32_t *x;  // of the first run
    int32_t words;      // of a run
    int32_t gap;        // bytes to the next run
    int32_t count;      // of runs
    int32_t next;       // bytes from the end of the last run to the next output's weights
    int32_t taps;
    float *out;  // int32_t without a float unit; moves on
    float *end;
    const uint32_t *w;
} r2b_csa_dots;

void r2b_csa_dots_v7m(r2b_csa_dots *dots);

static void dots_in_assembly(const uint32_t *x, const uint32_t *w, int32_t stride, const r2b_runs *r, int32_t taps,
                             int32_t outputs, float *out) {
    r2b_csa_dots d = {x, r->words, 4 * (r->stride - r->words), r->count, 0, taps, out, out + outputs, w};
    d.next = 4 * (stride - r->words - (r->count - 1) * r->stride);
    r2b_csa_dots_v7m(&d);
#ifndef __ARM_FP
    for (int32_t o = 0; o < outputs; o++) {
        int32_t sum;
        memcpy(&sum, out + o, sizeof sum);
        out[o] = (float)sum;
    }
#endif
}
#endif

static void dots(uint32_t *x, const uint32_t *w, int32_t stride, const r2b_runs *r, int32_t taps, int32_t outputs,
                 float *out) {
    x += r->start;
    w += r->start;
#if defined(__arm__) && __ARM_ARCH_ISA_THUMB == 2
    const int is_short = r->count == 1 && (r->words <= FEW || r->words == NINE);  // where constants help more
    const int32_t words = r->count * r->words;
    if (!is_short && words > 0 && words <= MOST_WORDS) {
        dots_in_assembly(x, w, stride, r, taps, outputs, out);
        return;
    }
#endif
    if (r->count == 1 && r->words <= FEW) {
        dots_of_few(x, w, stride, r->words, taps, outputs, out);
    } else if (r->count != 1 || r->words > MOST_WORDS || r->words % NINE != 0) {
        dots_of_runs(x, w, stride, r, taps, outputs, out);
    } else if (r->words == NINE) {
        dots_of_nines(x, w, stride, 1, taps, outputs, out);
    } else if (r->words == 2 * NINE) {
        dots_of_nines(x, w, stride, 2, taps, outputs, out);
    } else {
        dots_of_nines(x, w, stride, r->words / NINE, taps, outputs, out);
    }
}

void r2b_bconv_csa(const r2b_bconv *layer, const r2b_epilogue *epilogue, uint8_t *arena, const r2b_parallel *parallel) {
    (void)parallel;
    r2b_bconv_rows(layer, epilogue, arena, dots);
}
