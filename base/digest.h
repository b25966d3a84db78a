/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * SHA-256 of a piece of memory.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>

#define MOE_DIGEST_CHARS 65 /* 64 hexadecimal digits and a NUL */

/** SHA-256 of data as lower-case hexadecimal text. */
void moe_digest_hex(const void *data, size_t size, char out[MOE_DIGEST_CHARS]);

#endif
