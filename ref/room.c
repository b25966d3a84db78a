/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/room.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    ALIGN = 64,
    HUGE_PAGE = 2 << 20
};

/* What that many bytes are aligned to. */
static int64_t page_of(int64_t bytes)
{
    return bytes < HUGE_PAGE ? ALIGN : HUGE_PAGE;
}

int64_t moe_room_bytes(int64_t bytes)
{
    const int64_t page = page_of(bytes);

    return (bytes + page - 1) / page * page;
}

void *moe_room_take(int64_t bytes)
{
    const int64_t page = page_of(bytes);
    void *memory = aligned_alloc((size_t)page, (size_t)bytes);

#ifdef MADV_HUGEPAGE
    if (memory != NULL && page == HUGE_PAGE) {
        (void)madvise(memory, (size_t)bytes, MADV_HUGEPAGE); /* only a wish */
    }
#endif
    return memory;
}
