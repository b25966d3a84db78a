/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/mpi/version.h"

#include <mpi.h>
#include <string.h>

const char *moe_mpi_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int n = 0;

    if (text[0] == '\0' && MPI_Get_library_version(text, &n) != MPI_SUCCESS) {
        (void)strcpy(text, "unknown MPI");
    }
    /* Open MPI adds package, identifier, date: the first part will do. */
    text[strcspn(text, ",\n")] = '\0';
    return text;
}
