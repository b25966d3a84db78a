/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/rcp_table.h"

#include "moe/rcp_table_file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "data/rcp_sm90.table"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint8_t *table;
static char path_of_table[4096];

/* The header's word for it, and ours: a checksum, an architecture. */
static const char *problem_of(const moe_rcp_header_t *header,
                              const uint8_t *bytes)
{
    if (memcmp(header->magic, MOE_RCP_MAGIC, sizeof(header->magic)) != 0 ||
        header->entries != MOE_RCP_ENTRIES) {
        return "is no table of gpu/rcp_table.cu";
    }
    if (header->architecture != MOE_RCP_ARCHITECTURE) {
        return "was made on another architecture, expected sm_90";
    }
    if (header->checksum != moe_rcp_checksum(bytes, MOE_RCP_TABLE_BYTES)) {
        return "has another checksum than its header says";
    }
    return NULL;
}

moe_status_t moe_rcp_read(const char *path, uint8_t **table_p)
{
    moe_rcp_header_t header;
    const char *problem = "ends early";
    uint8_t *bytes = malloc(MOE_RCP_TABLE_BYTES);
    FILE *file;

    if (bytes == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the table %s", path);
    }
    file = fopen(path, "rb");
    if (file == NULL) {
        free(bytes);
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "%s: cannot be read: the table of rcp.approx.ftz, "
                        "which profiles fast-rcp-* need; gpu/rcp_table.cu "
                        "makes it on a GPU, MOESIM_RCP_TABLE names it",
                        path);
    }
    if (fread(&header, sizeof(header), 1, file) == 1 &&
        fread(bytes, MOE_RCP_TABLE_BYTES, 1, file) == 1) {
        problem = problem_of(&header, bytes);
    }
    (void)fclose(file);
    if (problem != NULL) {
        free(bytes);
        return moe_fail(MOE_ERR_INPUT, "%s: %s", path, problem);
    }
    *table_p = bytes;
    return MOE_OK;
}

/* The build's own, then the installed one. */
static const char *place(void)
{
    static const char *const places[] = {
#ifdef MOESIM_BUILD_DIR
        MOESIM_BUILD_DIR "/" NAME,
#endif
#ifdef MOESIM_DATADIR
        MOESIM_DATADIR "/" NAME,
#endif
        NAME};
    const char *named = getenv("MOESIM_RCP_TABLE");
    size_t i = 0;

    if (named != NULL && named[0] != '\0') {
        return named;
    }
    while (i + 1 < sizeof(places) / sizeof(places[0]) &&
           access(places[i], R_OK) != 0) {
        i++;
    }
    return places[i];
}

static void load(void)
{
    const char *path = place();

    (void)snprintf(path_of_table, sizeof(path_of_table), "%s", path);
    (void)moe_rcp_read(path, &table);
}

moe_status_t moe_rcp_load(void)
{
    uint8_t *unused;
    moe_status_t status;

    (void)pthread_once(&once, load);
    if (table != NULL) {
        return MOE_OK;
    }
    status = moe_rcp_read(path_of_table, &unused);
    if (status == MOE_OK) { /* it came later: the process keeps its answer */
        free(unused);
        status = moe_fail(MOE_ERR_UNSUPPORTED,
                          "%s: was not there when it was first looked for",
                          path_of_table);
    }
    return status;
}

float moe_rcp_approx(float x)
{
    return moe_rcp_apply(table, x);
}
