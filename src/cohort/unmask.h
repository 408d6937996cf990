/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_COHORT_UNMASK_H
#define CAIRN_COHORT_UNMASK_H

#include "cohort/client.h"

/*
 * The hub's end of a cohort: from the shares that its members have given to the masks that are left in the sum of their vectors.
 */
struct cohort_end {
    const struct cohort_graph *graph;
    const struct cohort_member *members; /* in the order of the ring */
    const uint8_t *context;
    const uint8_t *dealt, *survivors; /* lists; every survivor has dealt */
    const struct str *commitments;    /* by member, of SHA256_SIZE bytes; of those who have dealt */
    const struct str *answers; /* by member, what cohort_client_unmask() gave; absent of those who gave nothing */
};

/* What a member's answer must look like for anything to be made of it: INVALID otherwise. */
enum status cohort_answer_check(const struct cohort_graph *graph, struct str answer, struct error *err);

/*
 * secrets gets COHORT_SECRET_SIZE bytes for each member: of a survivor that of its own mask, of one who has fallen away after dealing its mask
 * key. Each is compared with what the member promised. UNPROCESSABLE when too few shares have come, or too many wrong ones.
 */
enum status cohort_recover(const struct cohort_end *end, uint8_t *secrets, struct error *err);

/* The masks that are in the sum of the survivors' vectors, each with the way in which it is to be applied to be gone. */
struct cohort_masks {
    size_t count;
    struct cohort_mask {
        uint8_t key[32];
        bool add;
    } * masks;
};
enum status cohort_masks(const struct cohort_end *end, const uint8_t *secrets, struct arena *arena,
                         struct cohort_masks *out, struct error *err);

#endif
