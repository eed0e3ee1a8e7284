// syscall_plugin.c: a QEMU plug-in for Linux programs that counts instructions between system calls of one kind.
//
// Arguments: number=<of the system call>,out=<file>. At each such call the number of instructions executed before it,
// since the program began, goes to the file as a u64 in the machine's byte order. It serves programs that are not ours,
// which have no function to mark: an interpreted one can call getppid around what is to be counted. Counts whole
// translation blocks as they are entered; a system call always ends one. For one emulated thread.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

static int64_t marker = -1;
static uint64_t executed;
static FILE *out;

static void block(unsigned int vcpu, void *user) {
    (void)vcpu;
    executed += (uintptr_t)user;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, block, QEMU_PLUGIN_CB_NO_REGS, (void *)qemu_plugin_tb_n_insns(tb));
}

static void called(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)vcpu, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != marker) return;
    if (fwrite(&executed, sizeof executed, 1, out) != 1) {
        perror("r2b: instruction counts");
        exit(1);
    }
}

static void finish(qemu_plugin_id_t id, void *user) {
    (void)id;
    (void)user;
    if (fclose(out) != 0) perror("r2b: instruction counts");
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "number=", 7) == 0) marker = strtoll(argv[i] + 7, NULL, 10);
        if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "wb");
    }
    if (marker < 0 || out == NULL) {
        (void)fprintf(stderr, "r2b: the plug-in needs number=SYSTEM_CALL and a writable out=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
