/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the fuzz harnesses share. A harness is one function of libFuzzer's
 * name; linked with libFuzzer it is fed by that, and with replay.c by the
 * files of its corpus, once each, as a test.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_CHANGES 16

/** Always 0. Aborts if a property of what it tests does not hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * A regular file in memory that holds these bytes.
 * @return its path, valid until the next call; aborts if there is none.
 */
const char *fuzz_file(const uint8_t *data, size_t size);

/** Text of an input, with a NUL added, and the changes that lines of it ask
 * for: "#set key.path=value". To YAML they are comments. */
typedef struct {
    char *text; /* [size + 1] */
    size_t size;
    size_t n;
    char *path[FUZZ_CHANGES];
    char *value[FUZZ_CHANGES];
    char *lines; /* what path and value point into */
} fuzz_text_t;

void fuzz_text_init(fuzz_text_t *t, const uint8_t *data, size_t size);
void fuzz_text_fini(fuzz_text_t *t);

/** Abort, with a message, if a property does not hold. */
void fuzz_check(int holds, const char *property);

#endif
