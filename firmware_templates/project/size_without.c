// SPDX-License-Identifier: MIT-0
//
// The same program as size_with.c, without the model.
int main(int argc, char **argv) {
    (void)argv;
    return argc;
}
