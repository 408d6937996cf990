/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_APPLY_H
#define CAIRN_GATE_APPLY_H

#include "gate/internal.h"

/* What somebody sends to ask for access, by JSON, by a web form or by an import; all absent or zero unless given. */
struct application {
    int64_t repo_id, account_id;
    struct str account_name;
    struct str purpose;     /* a word or a line that tells cases of one person apart */
    const json_t *answers;  /* NULL: none, or as they stand in the draft */
    const json_t *terms;    /* [{"terms", "sha256"}] */
    const char *method;     /* how the texts were accepted: terms_accept() */
    struct str form_sha256; /* in hex: of the form that was answered, to notice that it has changed */
    struct str *members;    /* names of others of the lab */
    size_t member_count;
    bool draft;           /* only keep it */
    bool renew;           /* of a grant that ends, or has ended */
    struct str changed;   /* renewal: what has changed since; absent or "" for nothing */
    const json_t *attest; /* renewal at risk 2 or more: {"samePurpose", "copies", "incidents"} */
};

/* Reads a JSON body; INVALID names what is wrong. Strings live as long as body. */
enum status application_read(struct arena *arena, const json_t *body, struct application *out, struct error *err);

/*
 * In a write: keeps a draft, submits, asks again after a refusal, or renews, whatever fits. Everything that a request
 * needs is checked here or by the machine; *out is then what came of it.
 */
enum status application_apply(struct db_conn *tx, struct arena *arena, const struct application *how,
                              struct access_request *out, struct error *err);

#endif
