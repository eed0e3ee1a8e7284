// blocks_plugin.c: a QEMU plug-in that counts instructions, and how often each block of them was executed.
//
// Arguments: marker=<address>,out=<file>, as those of r2b_edge/runners/qemu_plugin.c, whose counts it writes as well.
// At each marker the file <out>.blocks gets a u64 n and n records of three u64: the address of a block, how many
// instructions of 4 bytes it has, and how often it was entered since the last marker. A block may be listed twice.
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

typedef struct block_count {
    uint64_t record[3];  // address, instructions, executions
    struct block_count *next;
} block_count;

static uint64_t marker;
static uint64_t executed;
static block_count *blocks;  // all that were translated; none is freed, since it may still be entered
static FILE *out;
static FILE *out_blocks;

static void count(block_count *b) {
    executed += b->record[1];
    b->record[2]++;
}

static void block(unsigned int vcpu, void *user) {
    (void)vcpu;
    count(user);
}

static void write_all(FILE *file, const void *data, size_t words) {
    if (fwrite(data, sizeof(uint64_t), words, file) != words) {
        perror("r2b: counts");
        exit(1);
    }
}

static void marker_block(unsigned int vcpu, void *user) {
    (void)vcpu;
    uint64_t entered = 0;
    for (const block_count *b = blocks; b != NULL; b = b->next) entered += b->record[2] != 0;
    write_all(out, &executed, 1);
    write_all(out_blocks, &entered, 1);
    for (block_count *b = blocks; b != NULL; b = b->next) {
        if (b->record[2] == 0) continue;
        write_all(out_blocks, b->record, 3);
        b->record[2] = 0;
    }
    count(user);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    block_count *const b = calloc(1, sizeof *b);
    if (b == NULL) abort();
    b->record[0] = qemu_plugin_tb_vaddr(tb);
    b->record[1] = qemu_plugin_tb_n_insns(tb);
    b->next = blocks;
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, b->record[0] == marker ? marker_block : block, QEMU_PLUGIN_CB_NO_REGS, b);
}

static void finish(qemu_plugin_id_t id, void *user) {
    (void)id;
    (void)user;
    if (fclose(out) != 0 || fclose(out_blocks) != 0) perror("r2b: counts");
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    char path[4096];
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "marker=", 7) == 0) marker = strtoull(argv[i] + 7, NULL, 16);
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "wb");
            (void)snprintf(path, sizeof path, "%s.blocks", argv[i] + 4);
            out_blocks = fopen(path, "wb");
        }
    }
    if (marker == 0 || out == NULL || out_blocks == NULL) {
        (void)fprintf(stderr, "r2b: the plug-in needs marker=ADDRESS and a writable out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
