/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/ascend.h"

#include <string.h>

enum {
    PER_RANK_MOST = 512,    /* tokens of a tp rank that MC2 takes */
    MEGA_MOST = 4096,       /* that the fused kernel of mega takes */
    WORLD_LEAST = 16,       /* ranks from which MC2 is used on A2 */
    EXPERTS_MOST = 24,      /* of a rank, for MC2 on A2 */
    FUSED_EP_FIRST = 16,    /* ep up to which it is fused on A3, #5156 */
    FUSED_EP_MOST = 32,     /* the same in HEAD */
    FUSED_EP_MOST_MEGA = 64 /* and with mega */
};

typedef enum {
    CAPACITY_none,
    CAPACITY_per_rank,
    CAPACITY_graph,
    CAPACITY_limited
} capacity_t;

/* A rule; fits: the tokens are within the capacity. */
typedef moe_ascend_takes_t rule_func_t(const moe_ascend_facts_t *f, bool fits);

static moe_ascend_takes_t rule_always(const moe_ascend_facts_t *f, bool fits)
{
    (void)fits;
    return f->settings.dummy_run ? MOE_ASCEND_TAKES_dummy
                                 : MOE_ASCEND_TAKES_allgather;
}

static moe_ascend_takes_t rule_seed(const moe_ascend_facts_t *f, bool fits)
{
    if (f->settings.dummy_run) {
        return MOE_ASCEND_TAKES_dummy;
    }
    return fits ? MOE_ASCEND_TAKES_mc2 : MOE_ASCEND_TAKES_allgather;
}

static moe_ascend_takes_t rule_device(const moe_ascend_facts_t *f, bool fits)
{
    if (fits) {
        return MOE_ASCEND_TAKES_mc2;
    }
    return f->device == MOE_ASCEND_ON_a3 ? MOE_ASCEND_TAKES_alltoall
                                         : MOE_ASCEND_TAKES_allgather;
}

/* From #2734 on A2 asks for a world of so many ranks too. */
static moe_ascend_takes_t by_world(const moe_ascend_facts_t *f, bool fits,
                                   int world)
{
    if (f->ep <= 1) {
        return MOE_ASCEND_TAKES_allgather;
    }
    return rule_device(
        f, fits && (f->device == MOE_ASCEND_ON_a3 || world >= WORLD_LEAST));
}

/* The world of one dp rank: tp, which #3158 set right. */
static moe_ascend_takes_t rule_world(const moe_ascend_facts_t *f, bool fits)
{
    return by_world(f, fits, f->tp);
}

static moe_ascend_takes_t rule_no_cast(const moe_ascend_facts_t *f, bool fits)
{
    moe_ascend_takes_t takes = by_world(f, fits, f->dp * f->tp);
    bool w4a8 = f->settings.quantization == MOE_ASCEND_QUANT_w4a8_dynamic;

    if (takes == MOE_ASCEND_TAKES_allgather && f->ep > 1 && w4a8 &&
        f->device == MOE_ASCEND_ON_a2) {
        return MOE_ASCEND_TAKES_alltoall;
    }
    return takes;
}

static moe_ascend_takes_t rule_across(const moe_ascend_facts_t *f, bool fits)
{
    moe_ascend_takes_t takes = rule_no_cast(f, fits);

    return takes == MOE_ASCEND_TAKES_allgather && f->prefill
               ? MOE_ASCEND_TAKES_multicast
               : takes;
}

static moe_ascend_takes_t rule_fused(const moe_ascend_facts_t *f, bool fits)
{
    const moe_ascend_settings_t *s = &f->settings;

    if (f->device == MOE_ASCEND_ON_a3 && f->ep > 1 && f->ep <= FUSED_EP_FIRST &&
        s->quantization == MOE_ASCEND_QUANT_w8a8_dynamic && !s->dynamic_eplb &&
        !s->mtp) {
        return MOE_ASCEND_TAKES_fused_mc2;
    }
    return rule_no_cast(f, fits);
}

static moe_ascend_takes_t rule_density(const moe_ascend_facts_t *f, bool fits)
{
    bool dense =
        f->device == MOE_ASCEND_ON_a2 && f->experts / f->ep > EXPERTS_MOST;

    return rule_fused(f, fits && !dense);
}

static moe_ascend_takes_t head_a2(const moe_ascend_facts_t *f, bool fits)
{
    return fits && f->ep >= WORLD_LEAST && f->experts / f->ep <= EXPERTS_MOST
               ? MOE_ASCEND_TAKES_mc2
               : MOE_ASCEND_TAKES_allgather;
}

static moe_ascend_takes_t head_a3(const moe_ascend_facts_t *f, bool fits)
{
    int fused = f->settings.fused_mc2;
    int most =
        fused == MOE_ASCEND_FUSED_mega ? FUSED_EP_MOST_MEGA : FUSED_EP_MOST;

    if (fused != MOE_ASCEND_FUSED_off && f->ep <= most) {
        return MOE_ASCEND_TAKES_fused_mc2;
    }
    return fits ? MOE_ASCEND_TAKES_mc2 : MOE_ASCEND_TAKES_alltoall;
}

static moe_ascend_takes_t head_a5(const moe_ascend_facts_t *f, bool fits)
{
    int world = f->dp * f->tp;

    if (fits && world > 1) {
        return MOE_ASCEND_TAKES_mc2;
    }
    return world <= f->topk ? MOE_ASCEND_TAKES_allgather
                            : MOE_ASCEND_TAKES_alltoall;
}

static moe_ascend_takes_t rule_head(const moe_ascend_facts_t *f, bool fits)
{
    if (f->ep <= 1 || f->device == MOE_ASCEND_ON_310p) {
        return MOE_ASCEND_TAKES_allgather;
    }
    if (f->settings.lora) {
        return MOE_ASCEND_TAKES_alltoall;
    }
    switch (f->device) {
    case MOE_ASCEND_ON_a2:
        return head_a2(f, fits);
    case MOE_ASCEND_ON_a3:
        return head_a3(f, fits);
    default:
        return head_a5(f, fits);
    }
}

static const struct {
    moe_ascend_revision_t revision;
    capacity_t capacity;
    rule_func_t *rule;
} rules[MOE_ASCEND_COUNT] = {
#define MOE_ASCEND(id, date, change, capacity, rule, source, text)             \
    [MOE_ASCEND_##id] = {                                                      \
        {date, change, source, text}, CAPACITY_##capacity, rule_##rule},
#include "sim/scenario/ascend.def"
#undef MOE_ASCEND
};

static const char *const methods[MOE_ASCEND_TAKES_COUNT] = {
#define MOE_ASCEND_METHOD(id, method) [MOE_ASCEND_TAKES_##id] = method,
#include "sim/scenario/ascend_method.def"
#undef MOE_ASCEND_METHOD
};

static const struct {
    const char *word;
    const char *chip;
} devices[MOE_ASCEND_ON_COUNT] = {
#define MOE_ASCEND_DEVICE(id, word, chip) [MOE_ASCEND_ON_##id] = {word, chip},
#include "sim/scenario/ascend_device.def"
#undef MOE_ASCEND_DEVICE
};

const moe_ascend_revision_t *moe_ascend_revision(moe_ascend_t revision)
{
    return &rules[revision].revision;
}

/* Digits at a place of a date. */
static int number_at(const char *text, size_t begin, size_t end)
{
    int n = 0;

    for (size_t i = begin; i < end; i++) {
        n = 10 * n + (text[i] - '0');
    }
    return n;
}

/* A day of the calendar. */
static bool has_day(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (leap && month == 2 ? 1 : 0);
}

static bool is_date(const char *text)
{
    static const char shape[] = "dddd-dd-dd";

    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';

        if (shape[i] == 'd' ? !digit : text[i] != '-') {
            return false;
        }
    }
    return text[sizeof(shape) - 1] == '\0' &&
           has_day(number_at(text, 0, 4), number_at(text, 5, 7),
                   number_at(text, 8, 10));
}

moe_ascend_t moe_ascend_find(const char *text)
{
    int found = MOE_ASCEND_COUNT;

    for (int i = 0; i < MOE_ASCEND_COUNT; i++) {
        const moe_ascend_revision_t *r = &rules[i].revision;

        if (strcmp(text, r->change) == 0 ||
            (is_date(text) && strcmp(r->date, text) <= 0)) {
            found = i;
        }
    }
    return (moe_ascend_t)found;
}

moe_ascend_on_t moe_ascend_device(const char *device)
{
    for (int i = 1; i < MOE_ASCEND_ON_COUNT; i++) {
        if (strncmp(device, devices[i].chip, strlen(devices[i].chip)) == 0) {
            return (moe_ascend_on_t)i;
        }
    }
    return MOE_ASCEND_ON_machine;
}

const char *moe_ascend_device_word(moe_ascend_on_t device)
{
    return devices[device].word;
}

bool moe_ascend_knows(moe_ascend_t revision, moe_ascend_on_t device)
{
    rule_func_t *rule = rules[revision].rule;

    if (rule == rule_always || rule == rule_seed) {
        return true;
    }
    return device == MOE_ASCEND_ON_a2 || device == MOE_ASCEND_ON_a3 ||
           (rule == rule_head && device != MOE_ASCEND_ON_machine);
}

int64_t moe_ascend_capacity(moe_ascend_t revision,
                            const moe_ascend_facts_t *facts)
{
    const bool mega = facts->settings.fused_mc2 == MOE_ASCEND_FUSED_mega;
    const int64_t most = mega ? MEGA_MOST : PER_RANK_MOST;
    int64_t each = PER_RANK_MOST;

    switch (rules[revision].capacity) {
    case CAPACITY_none:
        return 0;
    case CAPACITY_per_rank:
        break;
    case CAPACITY_graph:
    case CAPACITY_limited:
        each = (facts->settings.graph_tokens + facts->tp - 1) / facts->tp;
        break;
    }
    if (rules[revision].capacity == CAPACITY_limited && each > most) {
        each = most;
    }
    return each * facts->tp;
}

moe_ascend_takes_t moe_ascend_choose(moe_ascend_t revision,
                                     const moe_ascend_facts_t *facts)
{
    bool fits = facts->tokens <= moe_ascend_capacity(revision, facts);

    return rules[revision].rule(facts, fits);
}

const char *moe_ascend_method(moe_ascend_takes_t takes)
{
    return methods[takes];
}
