/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which MPI is linked.
 */
#ifndef REF_MPI_VERSION_H
#define REF_MPI_VERSION_H

/** Name and version of the MPI library in one line; static. MPI need not be
 * started. */
const char *moe_mpi_version(void);

#endif
