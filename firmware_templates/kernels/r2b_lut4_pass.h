// SPDX-License-Identifier: MIT-0
//
// r2b_lut4_pass.h: the pass in plain C, for r2b_lut4.h; its LUT4_UNROLL is 8. Families have theirs in assembly.
#ifndef R2B_LUT4_PASS_H
#define R2B_LUT4_PASS_H

#include "r2b_lut4.h"

// Adds fields of 4 bits to bytes: the low ones to sums[i], the high ones to sums[i + N / 2].
static inline void lut4_widen(uint32_t *fields, uint32_t *sums) {
    for (int32_t i = 0; i < LUT4_WORDS / 2; i++) {
        sums[i] += fields[i] & 0x0f0f0f0fu;
        sums[i + LUT4_WORDS / 2] += fields[i] >> 4 & 0x0f0f0f0fu;
        fields[i] = 0;
    }
}

static void lut4_pass_c(const r2b_lut4_job *jobs, int32_t count, const uint32_t *weights) {
    for (const r2b_lut4_job *job = jobs; job < jobs + count; job++) {
        uint32_t fields[LUT4_WORDS / 2] = {0};
        const uint32_t *table = (const uint32_t *)(const void *)job->table;
        int32_t unused = (int32_t)(job->run & 0xffffu);
        memset(job->sums, 0, LUT4_PIXELS);
        for (uint32_t block = 0; block < job->run >> 16; block++, unused = 0) {
            const uint32_t word = *weights++;
            for (int32_t j = unused, since = 0; j < 8; j++) {
                const uint32_t *const entry =
                    table + j * (LUT4_GROUP_BYTES / 4) + (word >> 4 * j & 15u) * (LUT4_WORDS / 2);
                for (int32_t i = 0; i < LUT4_WORDS / 2; i++) fields[i] += entry[i];
                if (++since % 3 == 0) lut4_widen(fields, job->sums);  // 3 entries of up to 4 fit in a field
            }
            lut4_widen(fields, job->sums);
            table += 8 * (LUT4_GROUP_BYTES / 4);
        }
    }
}

#endif  // R2B_LUT4_PASS_H
