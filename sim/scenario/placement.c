/* SPDX-License-Identifier: Apache-2.0 */
/* layout.placement: where experts lie, and which are held more than once. */
#include "config.h"

#include "moe/placed.h"
#include "sim/scenario/field_print.h"
#include "sim/scenario/parts.h"

#include <stdlib.h>

#define LOAD_MAX INT64_C(1000000000000000) /* exact as a double */

static moe_at_t place_of(const moe_at_t *root, moe_at_t *layout)
{
    *layout = moe_at_key(root, "layout");
    return moe_at_key(layout, "placement");
}

/* Loads of E experts, as a window of the past counted them. */
static moe_status_t read_load(moe_build_t *b, const moe_at_t *at)
{
    const int64_t experts = b->s->model.experts;
    moe_scenario_t *s = b->s;
    bool ok = true;

    if (!moe_at_expect(at, MOE_YAML_LIST, "a list of loads")) {
        return MOE_OK;
    }
    if (at->node->n != (size_t)experts) {
        moe_at_error(at,
                     "has %zu numbers, expected one for each of %lld experts",
                     at->node->n, (long long)experts);
        return MOE_OK;
    }
    s->expert_load = calloc((size_t)experts, sizeof(*s->expert_load));
    if (s->expert_load == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for loads of experts");
    }
    for (int64_t e = 0; e < experts; e++) {
        moe_at_t item = moe_at_item(at, (size_t)e);
        int64_t load = 0;

        ok &= moe_at_int64(&item, 0, LOAD_MAX, &load);
        s->expert_load[e] = (double)load;
    }
    s->layer.place.load = ok ? s->expert_load : NULL;
    return MOE_OK;
}

/* Systems hold equally many slots on each rank. */
static void check_slots(const moe_build_t *b, const moe_at_t *at)
{
    const moe_placing_t *place = &b->s->layer.place;
    const moe_at_t redundant = moe_at_key(at, "redundant");
    const long long experts = (long long)b->s->model.experts;
    const int ep = b->s->layer.layout.ep;

    if ((place->redundant > 0 || place->kind == MOE_PLACING_eplb) &&
        (experts + place->redundant) % ep != 0) {
        moe_at_error(moe_at_given(&redundant) ? &redundant : at,
                     "is %lld, which makes %lld slots of %lld experts, "
                     "expected a multiple of ep = %d",
                     (long long)place->redundant, experts + place->redundant,
                     experts, ep);
    }
}

/* The keys alone, which need no other part. */
static void read_keys(moe_placing_t *place, const moe_at_t *at)
{
    if (!moe_at_is(at, MOE_YAML_MAP)) {
        (void)moe_at_value(at, moe_schema_find(MOE_SECTION_placement, "kind"),
                           &place->kind, sizeof(place->kind));
        return;
    }
    moe_at_section(at, MOE_SECTION_placement, place);
}

/* What the model and the ranks allow. */
static moe_status_t fit(moe_build_t *b, const moe_at_t *at)
{
    moe_scenario_t *s = b->s;
    moe_placing_t *place = &s->layer.place;
    const size_t before = moe_diag_count(b->root.source->diag);
    const moe_at_t load = moe_at_key(at, "load");
    moe_status_t status = MOE_OK;

    if (moe_at_given(&load) && place->kind != MOE_PLACING_eplb) {
        moe_at_error(&load, "belongs to eplb, expected none with %s",
                     moe_placing_name(place->kind));
    } else if (moe_at_given(&load)) {
        status = read_load(b, &load);
    }
    check_slots(b, at);
    if (status == MOE_OK && moe_diag_count(b->root.source->diag) == before &&
        moe_layer_is_placed(&s->layer)) {
        s->slots = moe_placed_model(&s->model, place);
        s->layer.model = &s->slots;
    }
    return status;
}

moe_status_t moe_scenario_read_placement(moe_build_t *b)
{
    const size_t before = moe_diag_count(b->root.source->diag);
    moe_at_t layout;
    const moe_at_t at = place_of(&b->root, &layout);

    if (!moe_at_given(&at)) {
        return MOE_OK;
    }
    read_keys(&b->s->layer.place, &at);
    return moe_diag_count(b->root.source->diag) == before && b->layout_ok &&
                   b->model_ok
               ? fit(b, &at)
               : MOE_OK;
}

void moe_print_placement(const moe_printer_t *p, const moe_scenario_t *s)
{
    const moe_placing_t *place = &s->layer.place;

    if (!moe_layer_is_placed(&s->layer)) {
        if (p->comments) {
            (void)fprintf(p->stream, "  placement: linear");
            moe_print_why(p, moe_schema_find(MOE_SECTION_layout, "placement"),
                          true);
        }
        return;
    }
    (void)fprintf(p->stream, "  placement:\n");
    moe_print_section(p, 4, MOE_SECTION_placement, place);
    if (place->load != NULL) {
        (void)fprintf(p->stream, "    load: [");
        for (int64_t e = 0; e < s->model.experts; e++) {
            (void)fprintf(p->stream, "%s%.0f", e > 0 ? ", " : "",
                          place->load[e]);
        }
        (void)fprintf(p->stream, "]\n");
    }
}

moe_status_t moe_scenario_wants_weights(const moe_scenario_t *s,
                                        const char *what)
{
    if (s->n_methods == 0 ||
        (s->method[0].chain.contract.points & MOE_ROUND(routing_weight)) == 0) {
        return MOE_OK;
    }
    return moe_fail(MOE_ERR_UNSUPPORTED,
                    "%s: %s rounds its routing weights, and no tensor is of "
                    "rounded ones: expected combine_path: sparse",
                    what, s->method[0].label);
}

moe_status_t moe_scenario_wants_whole_rows(const moe_scenario_t *s,
                                           const char *what)
{
    for (size_t i = 0; i < s->n_methods; i++) {
        if (s->method[i].chain.contract.weigh == MOE_WEIGH_activation) {
            return moe_fail(MOE_ERR_UNSUPPORTED,
                            "%s: knows weights on the experts' output or input "
                            "alone, expected %s without weigh: activation",
                            what, s->method[i].label);
        }
    }
    return MOE_OK;
}
