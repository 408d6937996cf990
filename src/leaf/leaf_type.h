/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PROV_LEAF_TYPE_H
#define CAIRN_PROV_LEAF_TYPE_H

#include "leaf/leaf.h"

/* What reading, writing and composing leaves share. */

enum leaf_value_kind { LEAF_WORD, LEAF_HEX, LEAF_CODE, LEAF_COUNT, LEAF_FLAG };

struct leaf_member {
    const char *name;
    enum leaf_value_kind kind;
    bool optional;
    size_t digits;     /* of LEAF_HEX; capital letters of LEAF_CODE */
    const char *words; /* of LEAF_WORD: those allowed, with a space between two */
};

enum leaf_scope { SCOPE_REPO, SCOPE_HUB, SCOPE_EITHER };

struct leaf_type {
    const char *name;
    enum leaf_scope scope;
    struct leaf_member members[LEAF_MEMBERS_MOST + 1]; /* sorted by name, as JCS wants them; ends with a NULL name */
};

const struct leaf_type *leaf_type_find(struct str name); /* NULL when it is not known */
/* The member's place in body[]; -1 when the type has none of that name. */
int leaf_member_find(const struct leaf_type *type, struct str name);

/* Checks all that can be wrong with a leaf's values, whoever made them. INVALID with the member's name. */
enum status leaf_check(const struct leaf *leaf, struct error *err);

extern const char *const leaf_auth_names[]; /* by enum leaf_auth; ends with NULL */

#define LEAF_INTEGER_LIMIT (INT64_C(1) << 53) /* what every reader of JSON can still count */
#define LEAF_TIME_LIMIT INT64_C(253402300800) /* the year 10000 */

bool leaf_is_hex(struct str text, size_t digits);   /* small letters only */
bool leaf_is_code(struct str text, size_t letters); /* capital letters only */
/* "2026-11-24T04:09:00Z"; out has 21 bytes with the NUL. */
void leaf_time(int64_t seconds, char out[21]);

#endif
