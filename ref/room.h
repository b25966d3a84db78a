/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Work memory of matmuls: taken for a call, touched once, given back.
 */
#ifndef REF_ROOM_H
#define REF_ROOM_H

#include <stdint.h>

/** Bytes rounded up to what moe_room_take() can take. */
int64_t moe_room_bytes(int64_t bytes);

/** That many, aligned to 64 bytes or, if they are many, to large pages and in
 * large pages where there are some, as each page is touched for the first
 * time; NULL if there is no memory. To be freed by free(). */
void *moe_room_take(int64_t bytes);

#endif
