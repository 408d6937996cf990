/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_FORM_H
#define CAIRN_GATE_FORM_H

#include "base/hash.h"
#include "base/json.h"

/*
 * The form of a gate: what an applicant is asked, as typed fields. It is read from the policy of the gate, or from the
 * card of a repo (extra_gated_fields and the like, hub-protocol 1.9), whose forms people have already.
 */
#define FORM_FIELDS_MOST 64
#define FORM_OPTIONS_MOST 300 /* a list of countries fits */
#define FORM_ANSWERS_LIMIT (256 * 1024)

enum field_type {
    FIELD_TEXT,     /* one line, 1,000 bytes */
    FIELD_LONGTEXT, /* 20,000 bytes */
    FIELD_EMAIL,
    FIELD_URL,
    FIELD_COUNTRY, /* ISO 3166-1 alpha-2 */
    FIELD_DATE,    /* YYYY-MM-DD */
    FIELD_NUMBER,
    FIELD_CHOICE,   /* one of the options */
    FIELD_CHECKBOX, /* required: it must be ticked */
    FIELD_ORCID,    /* with its checksum */
    FIELD_TYPES,
};
const char *field_type_name(enum field_type type);

struct form_field {
    struct str name, label; /* label is the name when none is given */
    enum field_type type;
    bool required;
    int8_t personal;     /* "personal": true 1, false -1; 0: not said. Reviewers first see it masked (review_case.c) */
    struct str *options; /* of a choice */
    size_t option_count;
    int64_t max; /* bytes of a text, or the greatest number; 0: the limit of its type */
};

struct form {
    struct str heading, prompt, button; /* absent where there are none */
    struct form_field *fields;
    size_t count;
    struct str text; /* the form as JSON: what its hash is of, and what requests keep */
    uint8_t sha256[SHA256_SIZE];
};

/* The member "form" of a policy: a list of fields. INVALID names the field and what is wrong with it. */
enum status form_read(struct arena *arena, const json_t *fields, struct form *out, struct error *err);

/*
 * The form that a card asks for; an empty one where it asks nothing. People write cards for another hub: what is not
 * understood there becomes a line of text, never an error. An "ip_location" is not asked, since we do not look it up.
 */
void form_read_card(struct arena *arena, const json_t *card, struct form *out);

const struct form_field *form_field(const struct form *form, struct str name); /* NULL when there is none */

/*
 * Checks answers (an object of name to value) field by field. complete: required ones must be there too; a draft may
 * lack them. *out is their text, members in the order of the form, which sha256 is of.
 *
 * INVALID "FormInvalid": the message names each field that is wrong, and how.
 */
enum status form_check(struct arena *arena, const struct form *form, const json_t *answers, bool complete,
                       struct str *out, struct error *err);

bool country_known(struct str code); /* two capital letters that ISO 3166-1 assigns */

#endif
