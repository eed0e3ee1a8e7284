// qemu_plugin.c: a QEMU plug-in that counts the emulated instructions between calls of one function.
//
// Arguments: marker=<address of the function, hexadecimal>,out=<file>[,threads=<their number, 1 without>].
// At each execution of the marker, by the first thread, the numbers of instructions that each thread has
// executed before it, since the program began, go to the file as u64 in the machine's byte order, in the
// order in which the threads began. Counts whole translation blocks as they are entered: a call and a
// return always end a block, so that the first thread's count at a marker is exact. Another thread, which
// has let the first one go on, may be a few instructions from where it sleeps, in which it is not counted.
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

static uint64_t marker;
enum { MOST_THREADS = 256 };

static atomic_uint_least64_t executed[MOST_THREADS];  // each is written by its own thread only
static unsigned threads = 1;
static FILE *out;

static void block(unsigned int vcpu, void *user) {
    if (vcpu >= MOST_THREADS) return;
    const uint64_t before = atomic_load_explicit(&executed[vcpu], memory_order_relaxed);
    atomic_store_explicit(&executed[vcpu], before + (uintptr_t)user, memory_order_relaxed);
}

static void marker_block(unsigned int vcpu, void *user) {
    for (unsigned i = 0; i < threads; i++) {
        const uint64_t count = atomic_load_explicit(&executed[i], memory_order_relaxed);
        if (fwrite(&count, sizeof count, 1, out) != 1) {
            perror("r2b: instruction counts");
            exit(1);
        }
    }
    block(vcpu, user);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    const uintptr_t instructions = qemu_plugin_tb_n_insns(tb);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, qemu_plugin_tb_vaddr(tb) == marker ? marker_block : block,
                                         QEMU_PLUGIN_CB_NO_REGS, (void *)instructions);
}

static void finish(qemu_plugin_id_t id, void *user) {
    (void)id;
    (void)user;
    if (fclose(out) != 0) perror("r2b: instruction counts");
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "marker=", 7) == 0) marker = strtoull(argv[i] + 7, NULL, 16);
        if (strncmp(argv[i], "threads=", 8) == 0) threads = (unsigned)strtoul(argv[i] + 8, NULL, 10);
        if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "wb");
    }
    if (marker == 0 || out == NULL || threads == 0 || threads > MOST_THREADS) {
        (void)fprintf(stderr, "r2b: the plug-in needs marker=ADDRESS and a writable out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
