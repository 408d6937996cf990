/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_INTERNAL_H
#define CAIRN_ATTEST_INTERNAL_H

#include "attest/attest.h"
#include "attest/evidence.h"
#include "attest/signer.h"
#include "oms/intoto.h"
#include "record/record.h"
#include "repo/protect.h"

extern const struct migration_set attest_migrations;

/* Handlers, file by file; module.c has their addresses. */
/* evidence.c */ route_handler evidence_read;
/* register.c */ route_handler signer_add, signer_mine, signer_revoke;
/* statement.c */ route_handler statement_post, deployment_post;
/* list.c */ route_handler statements_get, releases_get, deployments_get;
/* hub_key.c */ route_handler attestation_key_get;
/* oms.c */ route_handler oms_statement_get, oms_post, oms_list, oms_bundle_get;

/* In a write, with its event. NOT_FOUND when the account has no such key that is not revoked yet. */
enum status signer_revoke_in(struct db_conn *tx, int64_t account_id, struct str hint, struct error *err);

enum attest_event {
    EVENT_SIGNER_ADD,
    EVENT_SIGNER_REVOKE,
    EVENT_APPROVAL,
    EVENT_RELEASE,
    EVENT_EVALUATION,
    EVENT_DEPLOYMENT
};
extern const struct event_kind attest_events[]; /* ends with a NULL name */

/*
 * A statement on its way from a request into the log. What stands above the line is there when the kind's check() is
 * called; all of it lives in the request's arena.
 */
struct said {
    struct request *rq;
    const struct statement_kind *kind;
    struct str envelope; /* as it was sent */
    uint8_t digest[SHA256_SIZE];
    struct signer signer;
    struct str payload;
    struct intoto_statement statement;
    struct oid commit;

    void *own;  /* what check() has found out, for write() and after() */
    bool quiet; /* write(): nothing is logged, as no news is; event_id then names what was logged before */
    int64_t event_id;
};

/*
 * What can be said, one kind a row (kind.c). The event's body has "commit", "evidence" and "signed" already; write()
 * adds the members of the leaf's body (leaf.h) under their names.
 */
struct statement_kind {
    const char *predicate_types[2]; /* the second may be NULL */
    const struct event_kind *event;
    enum action action;    /* that the door is asked for */
    size_t most;           /* bytes of the envelope */
    const char *repo_name; /* member of the predicate that names the repo by its id in the log, where there is one */
    const char *shown;     /* members of the event's body that lists show, with a space between two */
    enum status (*check)(struct said *said, struct error *err);
    enum status (*write)(struct said *said, struct db_conn *tx, struct json_writer *w, struct error *err);
    enum status (*after)(struct said *said, struct db_conn *tx, struct error *err); /* event_id is set; may be NULL */
};

extern const struct statement_kind approval_kind, release_kind, evaluation_kind, deployment_kind, lineage_kind;
const struct statement_kind *kind_of_predicate(struct str predicate_type); /* NULL when there is none */
const struct statement_kind *kind_of_event(struct str name);

/* The manifest of the commit, logged now when it was not: its leaf, and its dirHash1 in hex. */
enum status said_manifest(struct said *said, uint64_t *index, struct str *dir_hash, struct error *err);
/* A member of the predicate; absent when it is not there, INVALID when it is no string of 1 to 256 bytes. */
enum status said_text(const struct said *said, const char *member, struct str *out, struct error *err);
/* The same for a word out of those that words names, with a space between two. */
enum status said_word(const struct said *said, const char *member, const char *words, struct str *out,
                      struct error *err);
/* The same for the index of a leaf; -1 when it is not there. */
enum status said_index(const struct said *said, const char *member, int64_t *out, struct error *err);

/* A row of the list of what was said, as JSON. NOT_FOUND. */
enum status statement_show(struct request *rq, int64_t event_id, struct json_writer *w, struct error *err);

#endif
