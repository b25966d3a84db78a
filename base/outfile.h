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
 * Start writing a file: a temporary beside its final name.
 * @param[out] stream_p  Write here; do not close it.
 * @return MOE_OK or MOE_ERR_IO, with a message.
 */
moe_status_t moe_outfile_open(const char *path, moe_outfile_t **file_p,
                              FILE **stream_p);

/** Flush, check every write, rename. The object is gone either way; on
 * error (a full disk) so is the temporary. */
moe_status_t moe_outfile_commit(moe_outfile_t *file);

/** Give up; removes the temporary. Accepts NULL. */
void moe_outfile_abort(moe_outfile_t *file);

/** Make a folder and those above it. MOE_OK if it is there already. */
moe_status_t moe_make_folder(const char *path);

/** Remove a file or a folder with all that is in it; does not follow
 * links. */
void moe_remove_tree(const char *path);

#endif
