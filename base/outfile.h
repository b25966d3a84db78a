/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Files and folders that appear whole or not at all.
 */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct moe_outfile moe_outfile_t;

/**
 * Start writing a file: a temporary beside its final name. What is no regular
 * file (/dev/stdout, a pipe) is written in place; of a link, its target.
 * @param[out] stream_p  Write here; do not close it.
 * @return MOE_OK; MOE_ERR_IO with a message; MOE_ERR_NOMEM.
 */
moe_status_t moe_outfile_open(const char *path, moe_outfile_t **file_p,
                              FILE **stream_p);

/** Flush, check every write, sync, rename. The object is gone either way; on
 * error (a full disk) so is the temporary, and path is what it was before. */
moe_status_t moe_outfile_commit(moe_outfile_t *file);

/** The path that it was opened with; valid until commit or abort. */
const char *moe_outfile_path(const moe_outfile_t *file);

/** Give up; removes the temporary. Accepts NULL. */
void moe_outfile_abort(moe_outfile_t *file);

/** Unlink the temporaries of all files still being written. For a signal
 * handler or a process about to end: calls only what a handler may call. The
 * objects stay; commit of one fails afterwards. */
void moe_outfile_abort_all(void);

/** True if two paths lead to one regular file: what is read must not be written
 * over. */
bool moe_is_same_file(const char *a, const char *b);

/** Make a folder and those above it. MOE_OK if it is there already. */
moe_status_t moe_make_folder(const char *path);

/** Remove a file or a folder with all that is in it; does not follow
 * links. */
void moe_remove_tree(const char *path);

#endif
