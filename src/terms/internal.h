/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TERMS_INTERNAL_H
#define CAIRN_TERMS_INTERNAL_H

#include "base/text.h"
#include "base/time.h"
#include "router/request.h"
#include "terms/classify.h"
#include "terms/terms.h"

/* What the files of this part share. */
extern const struct migration_set terms_migrations;
enum { EVENT_ACCEPT, EVENT_POST, EVENT_PUBLISH };

#define TEMPLATES STR("templates") /* the name space of what is shipped; its owner is 0 */

/* show.c */ route_handler terms_list, terms_text_get, terms_of_repo;
/* post.c */ route_handler terms_post, terms_countersign;
/* receipt.c */ route_handler terms_accept_post, receipts_list, receipt_get;

struct doc {
    int64_t id, owner_id;
    struct str name, slug, kind; /* name: "ns/slug" */
};
/* Also one of which nothing is published yet; NOT_FOUND otherwise. Strings are copied into arena. */
enum status doc_find(struct db_conn *conn, struct arena *arena, struct str name, struct doc *out, struct error *err);
enum status doc_get(struct db_conn *conn, struct arena *arena, int64_t id, struct doc *out, struct error *err);

/* A row of terms_version. */
struct version_row {
    int64_t id, doc_id, seq;
    enum change change, proposed;
    int64_t basis_seq;
    struct str summary;
    int64_t effective_us, grace_us;
    uint8_t digest[SHA256_SIZE];
    int64_t by_id, second_id, posted_us, published_us;
};
/* Sequence number 0: the newest published one, with its basis_seq. NOT_FOUND otherwise. */
enum status version_get(struct db_conn *conn, struct arena *arena, int64_t doc_id, int64_t seq, struct version_row *out,
                        struct error *err);
/* The published one that is in force at now_us: the first, before any is. NOT_FOUND when none is published. */
enum status version_in_force(struct db_conn *conn, struct arena *arena, int64_t doc_id, int64_t now_us,
                             struct version_row *out, struct error *err);
/* The texts of a version, in the order of their languages. */
enum status version_texts(struct db_conn *conn, struct arena *arena, int64_t version_id, struct terms_text **out,
                          size_t *count, struct error *err);
enum status version_body(struct db_conn *conn, struct arena *arena, int64_t version_id, struct str lang,
                         struct str *body, struct error *err);

/* A new epoch of a gate, in a write: those who hold grants get until due_us, and a walk tells them. version_id is what they have to
 * accept. */
enum status epoch_begin(struct db_conn *tx, int64_t gate_id, int64_t version_id, int64_t due_us, int64_t *epoch,
                        struct error *err);
enum status walk_begin(struct db_conn *tx, int64_t gate_id, int64_t version_id, struct error *err);

/* What a version is to be, before it is a row. */
struct publication {
    struct arena *arena;
    struct doc doc; /* id 0: the first version makes it */
    enum change change, proposed;
    bool confirmed; /* the lower class, by who posts it */
    struct str summary;
    int64_t effective_us, grace_us; /* effective_us 0: at once */
    struct terms_text texts[TERMS_LANGUAGES_MOST];
    struct str bodies[TERMS_LANGUAGES_MOST];
    size_t count;
    int64_t by_id, now_us;
    int64_t based_on;        /* the sequence number of the newest published version that was looked at; 0: none */
    struct version_row made; /* filled in */
};
/* In a write: checks it against what is there, and publishes it, or leaves it waiting for a second person. */
enum status publication_run(struct db_conn *tx, void *publication, struct error *err);
struct countersigning {
    struct arena *arena;
    struct doc doc;
    int64_t seq, by_id;
    uint8_t digest[SHA256_SIZE]; /* of the version, as the second person read it */
    struct version_row made;     /* filled in */
};
enum status countersigning_run(struct db_conn *tx, void *countersigning, struct error *err);
/* By the languages, with the hashes of the bodies. */
void publication_seal(struct publication *what);

void version_write(struct json_writer *w, struct arena *arena, const struct version_row *row,
                   const struct terms_text *texts, size_t count);

#endif
