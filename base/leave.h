/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A process that is ended by a signal leaves nothing half-written.
 */
#ifndef BASE_LEAVE_H
#define BASE_LEAVE_H

/** From now on SIGINT, SIGTERM and SIGHUP, where they are not ignored (nohup),
 * remove the temporaries of files that are being written (base/outfile.h) and
 * the folder of moe_leave_folder(), and end the process as before. */
void moe_leave_clean(void);

/** A folder that is not finished yet, with files and no folders in it; NULL:
 * none any more. Copied; what does not fit in PATH_MAX is none. */
void moe_leave_folder(const char *path);

#endif
