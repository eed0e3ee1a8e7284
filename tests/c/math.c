// SPDX-License-Identifier: MIT-0
//
// Reads a function's number as a float, then floats; writes what the function of r2b_math.h makes of them.
#include <stdio.h>

#include "r2b_math.h"

static float apply(int function, float x) {
    switch (function) {
        case 0:
            return r2b_exp(x);
        case 1:
            return r2b_exp_minus_one(x);
        case 2:
            return r2b_tanh(x);
        case 3:
            return r2b_log(x);
        case 4:
            return r2b_sqrt(x);
        case 5:
            return r2b_softplus(x);
        case 6:
            return r2b_one_plus_erf(x);
        case 7:
            return r2b_round(x);
        default:
            return r2b_floor(x);
    }
}

int main(void) {
    float x;
    if (fread(&x, sizeof x, 1, stdin) != 1) return 1;
    const int function = (int)x;
    while (fread(&x, sizeof x, 1, stdin) == 1) {
        const float y = apply(function, x);
        if (fwrite(&y, sizeof y, 1, stdout) != 1) return 1;
    }
    return 0;
}
