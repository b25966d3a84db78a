/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Input files: regular ones only, opened without waiting for anybody.
 */
#ifndef BASE_INFILE_H
#define BASE_INFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** True if a path leads to a folder. */
bool moe_is_folder(const char *path);

/**
 * Open a regular file for reading. A FIFO, a socket, a device or a folder is
 * refused at once, and never waited for.
 * @param[out] size_p  Its size in bytes. Untouched on error.
 * @return The descriptor, or -1 with *why_p what is wrong (static text, or
 *         that of strerror()) and *user_p whether it is the path that is
 *         wrong, rather than the machine.
 */
int moe_infile_open(const char *path, int64_t *size_p, const char **why_p,
                    bool *user_p);

/**
 * Read up to size bytes from an offset; short reads and signals are seen to.
 * @return Bytes read, fewer than size at the end of the file only; -1 with
 *         errno.
 */
int64_t moe_infile_read(int fd, void *out, size_t size, int64_t offset);

#endif
