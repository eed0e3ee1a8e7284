// cycles_m4.c: a QEMU plug-in that counts instructions, and the cycles that they would take on a Cortex-M4 by a model.
//
// Arguments: marker=<address>,out=<file>, as those of r2b_edge/runners/qemu_plugin.c, whose counts it writes as well.
// The file <out>.cycles gets cycles in the same form. The model, without wait states and with an ideal write buffer:
//     load or store of n registers (LDM, PUSH, VLDM ..)  1 + n        VFMA, VMLA 3, VDIV, VSQRT 14, others of VFP 1
//     LDRD, STRD                                        3            VMOV of two registers 2
//     LDR (and VLDR, VSTR)     2, behind another load or store 1     SDIV, UDIV 7 (they take 2 to 12)
//     STR                                               1            a branch that is taken 2 more
// Everything else takes 1. A taken branch is one where the next block does not follow in memory.
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

typedef struct {
    uint64_t address;
    uint64_t end;
    uint64_t instructions;
    uint64_t cycles;
} block_cost;

static uint64_t marker;
static uint64_t executed;
static uint64_t cycles;
static uint64_t expected;  // where the next block begins if no branch is taken
static FILE *out;
static FILE *out_cycles;

// Cycles of a Thumb instruction. *chained: whether the one before was a load or store; whether this one is.
static unsigned cost(uint32_t first, uint32_t second, bool is_long, bool *chained) {
    const bool before = *chained;
    *chained = false;
    const unsigned load = before ? 1 : 2;
    if (!is_long) {
        if ((first & 0xfe00) == 0xb400 || (first & 0xfe00) == 0xbc00) {  // PUSH, POP
            return 1 + (unsigned)__builtin_popcount(first & 0x1ff);
        }
        if ((first & 0xf000) == 0xc000) return 1 + (unsigned)__builtin_popcount(first & 0xff);  // LDM, STM
        if ((first & 0xf800) == 0x4800) return *chained = true, load;                           // LDR from the code
        if ((first & 0xf000) == 0x5000) return *chained = true, (first & 0xe00) < 0x600 ? 1 : load;
        if (first >= 0x6000 && first < 0xa000) return *chained = true, (first & 0x800) ? load : 1;
        return 1;
    }
    if ((first & 0xfe40) == 0xe800) return 1 + (unsigned)__builtin_popcount(second);  // LDM, STM
    if ((first & 0xfff0) == 0xe8d0 && (second & 0xffe0) == 0xf000) return 2;          // TBB, TBH
    if ((first & 0xfe40) == 0xe840) return 3;                                         // LDRD, STRD
    if ((first & 0xfe00) == 0xf800) return *chained = true, (first & 0x10) ? load : 1;
    if ((first & 0xffd0) == 0xfb90) return 7;  // SDIV, UDIV
    if ((first & 0xfe00) == 0xec00) {          // of VFP
        if ((first & 0xffe0) == 0xec40) return 2;
        if ((first & 0xff20) == 0xed00) return *chained = true, load;
        return 1 + (second & 0xff);
    }
    if ((first & 0xff00) == 0xee00 && (second & 0x0e10) == 0x0a00) {
        const uint32_t operation = first & 0xb0;
        if (operation == 0x80) return 14;                                                   // VDIV
        if (operation == 0xb0 && (first & 0xf) == 1 && (second & 0xc0) == 0xc0) return 14;  // VSQRT
        if (operation == 0x00 || operation == 0x10 || operation == 0x90 || operation == 0xa0) return 3;
    }
    return 1;
}

static void count(const block_cost *b) {
    executed += b->instructions;
    cycles += b->cycles + (b->address == expected ? 0 : 2);
    expected = b->end;
}

static void block(unsigned int vcpu, void *user) {
    (void)vcpu;
    count(user);
}

static void marker_block(unsigned int vcpu, void *user) {
    (void)vcpu;
    if (fwrite(&executed, sizeof executed, 1, out) != 1 || fwrite(&cycles, sizeof cycles, 1, out_cycles) != 1) {
        perror("r2b: counts");
        exit(1);
    }
    count(user);
}

static uint32_t half_of(const struct qemu_plugin_insn *insn, size_t index) {
    uint16_t halves[2] = {0};
#if R2B_PLUGIN_VERSION >= 3
    (void)qemu_plugin_insn_data(insn, halves, sizeof halves);
#else
    memcpy(halves, qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn) == 4 ? 4 : 2);
#endif
    return halves[index];
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    block_cost *const b = calloc(1, sizeof *b);  // lives as long as the block may be entered
    if (b == NULL) abort();
    b->address = b->end = qemu_plugin_tb_vaddr(tb);
    b->instructions = qemu_plugin_tb_n_insns(tb);
    bool chained = false;
    for (size_t i = 0; i < b->instructions; i++) {
        const struct qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(tb, i);
        const bool is_long = qemu_plugin_insn_size(insn) == 4;
        b->cycles += cost(half_of(insn, 0), is_long ? half_of(insn, 1) : 0, is_long, &chained);
        b->end += is_long ? 4 : 2;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, b->address == marker ? marker_block : block, QEMU_PLUGIN_CB_NO_REGS, b);
}

static void finish(qemu_plugin_id_t id, void *user) {
    (void)id;
    (void)user;
    if (fclose(out) != 0 || fclose(out_cycles) != 0) perror("r2b: counts");
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    char path[4096];
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "marker=", 7) == 0) marker = strtoull(argv[i] + 7, NULL, 16);
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "wb");
            (void)snprintf(path, sizeof path, "%s.cycles", argv[i] + 4);
            out_cycles = fopen(path, "wb");
        }
    }
    if (marker == 0 || out == NULL || out_cycles == NULL) {
        (void)fprintf(stderr, "r2b: the plug-in needs marker=ADDRESS and a writable out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
