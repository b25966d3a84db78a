/* SPDX-License-Identifier: Apache-2.0 */
#include "models/timeline.h"

#include <stdlib.h>
#include <string.h>

/* One link in the list of what a node needs. */
typedef struct {
    int node;
    int next;
} need_t;

/* Who last wrote a tensor, and who read it since on each stream. Nodes of a
 * stream end in order, so the last one stands for all. */
typedef struct {
    int writer;
    int reader[MOE_STREAM_COUNT];
} use_t;

struct moe_line {
    int n_nodes;
    int nodes_cap;
    moe_node_t *node;
    int n_needs;
    int needs_cap;
    need_t *need;
    int n_uses; /* tensors 1 .. n_uses */
    use_t *use;
    int host; /* last node that held the host, or -1 */
};

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for a timeline");
}

moe_status_t moe_timeline_init(moe_timeline_t *timeline, int n_ranks)
{
    timeline->line = calloc((size_t)n_ranks, sizeof(*timeline->line));
    if (timeline->line == NULL) {
        return no_memory();
    }
    timeline->n_ranks = n_ranks;
    for (int r = 0; r < n_ranks; r++) {
        timeline->line[r].host = -1;
    }
    return MOE_OK;
}

void moe_timeline_fini(moe_timeline_t *timeline)
{
    for (int r = 0; r < timeline->n_ranks; r++) {
        free(timeline->line[r].node);
        free(timeline->line[r].need);
        free(timeline->line[r].use);
    }
    free(timeline->line);
    timeline->line = NULL;
    timeline->n_ranks = 0;
}

/* Room for one more of an array that grows by half. */
static bool grow(void **array, int n, int *cap, size_t size)
{
    int more = *cap == 0 ? 16 : *cap + *cap / 2;
    void *larger;

    if (n < *cap) {
        return true;
    }
    larger = realloc(*array, (size_t)more * size);
    if (larger == NULL) {
        return false;
    }
    *array = larger;
    *cap = more;
    return true;
}

static moe_status_t add_need(moe_line_t *line, int at, int on)
{
    void *array = line->need;

    if (on < 0 || on == at) {
        return MOE_OK;
    }
    if (!grow(&array, line->n_needs, &line->needs_cap, sizeof(*line->need))) {
        return no_memory();
    }
    line->need = array;
    line->need[line->n_needs] = (need_t){on, line->node[at].first_need};
    line->node[at].first_need = line->n_needs++;
    return MOE_OK;
}

moe_status_t moe_timeline_add(moe_timeline_t *timeline, int rank,
                              const moe_node_t *node, int *at_p)
{
    moe_line_t *line = &timeline->line[rank];
    void *array = line->node;
    moe_status_t status;

    if (!grow(&array, line->n_nodes, &line->nodes_cap, sizeof(*line->node))) {
        return no_memory();
    }
    line->node = array;
    line->node[line->n_nodes] = *node;
    line->node[line->n_nodes].first_need = -1;
    *at_p = line->n_nodes++;
    status = add_need(line, *at_p, line->host);
    if (node->holds_host) {
        line->host = *at_p;
    }
    return status;
}

static moe_status_t need_uses(moe_line_t *line, int tensor)
{
    int n = tensor < 64 ? 64 : 2 * tensor;
    use_t *larger;

    if (tensor <= line->n_uses) {
        return MOE_OK;
    }
    larger = realloc(line->use, ((size_t)n + 1) * sizeof(*larger));
    if (larger == NULL) {
        return no_memory();
    }
    line->use = larger;
    for (int i = line->n_uses == 0 ? 0 : line->n_uses + 1; i <= n; i++) {
        larger[i] = (use_t){-1, {-1, -1}};
    }
    line->n_uses = n;
    return MOE_OK;
}

moe_status_t moe_timeline_reads(moe_timeline_t *timeline, int rank, int at,
                                int tensor)
{
    moe_line_t *line = &timeline->line[rank];
    moe_status_t status = need_uses(line, tensor);

    if (status == MOE_OK) {
        status = add_need(line, at, line->use[tensor].writer);
        line->use[tensor].reader[line->node[at].stream] = at;
    }
    return status;
}

moe_status_t moe_timeline_writes(moe_timeline_t *timeline, int rank, int at,
                                 int tensor)
{
    moe_line_t *line = &timeline->line[rank];
    moe_status_t status = need_uses(line, tensor);
    use_t *use;

    if (status != MOE_OK) {
        return status;
    }
    use = &line->use[tensor];
    status = add_need(line, at, use->writer);
    for (int s = 0; s < MOE_STREAM_COUNT && status == MOE_OK; s++) {
        status = add_need(line, at, use->reader[s]);
        use->reader[s] = -1;
    }
    use->writer = at;
    return status;
}

int moe_timeline_count(const moe_timeline_t *timeline, int rank)
{
    return timeline->line[rank].n_nodes;
}

moe_node_t *moe_timeline_node(const moe_timeline_t *timeline, int rank, int at)
{
    return &timeline->line[rank].node[at];
}

int moe_timeline_need(const moe_timeline_t *timeline, int rank, int need,
                      int *node_p)
{
    const need_t *n = &timeline->line[rank].need[need];

    *node_p = n->node;
    return n->next;
}
