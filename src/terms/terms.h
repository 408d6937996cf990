/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TERMS_TERMS_H
#define CAIRN_TERMS_TERMS_H

#include "module.h"

/*
 * Texts that people agree to (access C2, C5). A document is "ns/slug"; its versions are frozen when they are published, each
 * with its text in one or more languages. A gate asks for documents, not for versions: which version has to have been
 * accepted follows from what changed.
 *
 * An acceptance is bound to the SHA-256 of the text that was shown, which the client sends back. An acceptance of one
 * version also covers later ones as long as they change nothing that matters (editorial, minor), and all earlier ones.
 *
 * Epochs: each change that everybody has to accept anew (a material version, or a further document) is the gate's next
 * epoch (table gate_epoch; access/schema.c), with the time until when those who have not are still let in. A person
 * stands at the last epoch of which all texts are accepted: terms_reached(). The door compares the two numbers.
 */
extern const struct module terms_module;
extern const struct event_kind terms_events[]; /* ends with a NULL name */

#define TERMS_TEXT_MOST (1024 * 1024) /* bytes of one text */
#define TERMS_LANGUAGES_MOST 16
#define TERMS_GATE_MOST 16                               /* documents that one gate asks for */
#define TERMS_GRACE_US (INT64_C(30) * 86400 * SECOND_US) /* unless a version says otherwise */

/* The document "ns/slug", of which some version is published. NOT_FOUND "TermsNotFound" otherwise. */
enum status terms_doc_find(struct db_conn *conn, struct str name, int64_t *doc_id, struct error *err);

/*
 * In a write: these documents, and no others, are what the gate asks for; at most TERMS_GATE_MOST, each once. risk is the
 * gate's (0..4): from 2 up, further versions of the documents need a second person. When people hold grants already, a
 * further document begins an epoch, so that they get the grace to accept it.
 */
enum status terms_bind(struct db_conn *tx, int64_t gate_id, int64_t risk, const int64_t *doc_ids, size_t count,
                       struct error *err);

struct terms_text {
    struct str lang;   /* BCP 47 */
    struct str sha256; /* of the exact bytes, in hex */
    int64_t size;
};
struct terms_version {
    int64_t id, seq;    /* id 0: there is none */
    const char *change; /* "editorial", "minor", "material" or "emergency" */
    struct str summary;
    int64_t published_us, effective_us, grace_us;
    struct str sha256; /* of all its texts: of the lines "LANGUAGE SHA256\n" in the languages' order; in hex */
    struct terms_text *texts;
    size_t text_count;
};
struct terms_wanted {
    int64_t doc_id;
    struct str name;           /* "ns/slug" */
    struct str kind;           /* licence, aup, dua, privacy or tier */
    struct terms_version now;  /* in force; the first one before anything is */
    struct terms_version next; /* the newest one, when it is published but not in force yet */
};
/* What a gate asks for, in the order in which it was bound; out has room for TERMS_GATE_MOST. */
enum status terms_wanted(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t now_us,
                         struct terms_wanted *out, size_t *count, struct error *err);

/* Whether somebody who begins today has to accept something first: some text in force is not covered. */
enum status terms_missing(struct db_conn *conn, int64_t gate_id, int64_t account_id, int64_t now_us, bool *missing,
                          struct error *err);

/* Where a person stands towards a gate: the last epoch that is accepted, or -1. */
struct terms_standing {
    int64_t reached;
    int64_t newest; /* the gate's */
    int64_t due_us; /* when the first epoch after `reached` ends the grace; INT64_MAX when nothing is due */
    int64_t at_us;  /* since when that is known; 0 when nothing is due */
};
enum status terms_reached(struct db_conn *conn, int64_t gate_id, int64_t account_id, struct terms_standing *out,
                          struct error *err);

/*
 * In a write: what a person accepts, by a gate or (gate_id 0) without. `accepted` is a JSON array of at most
 * TERMS_GATE_MOST [{"terms": "ns/slug", "sha256": "..."}]. Each hash must be that of a text in force, or of the newest
 * published one: UNPROCESSABLE "TermsChanged" otherwise, as the client then has shown something else. Writes a receipt
 * for each, and calls the modules' accepted(), which moves grants; so nothing more is to be done. What was accepted
 * before counts once more and does no harm.
 */
struct terms_acceptance {
    int64_t account_id, gate_id, request_id; /* request_id 0: outside of a request */
    const char *method;                      /* "web", "api", "cli" or "signed" */
    const json_t *accepted;
    int64_t first_id, count; /* filled in: ids of the receipts, one after the other */
};
enum status terms_accept(struct db_conn *tx, struct terms_acceptance *acceptance, struct error *err);

/* What a gate is called for people, "model ns/name" or "group ns/slug" ("something that is gone" when its repo is), and
 * the repo_id that notices and events about it carry: its only repo's, 0 for a group. */
enum status terms_gate_name(struct db_conn *conn, struct arena *arena, int64_t gate_id, struct str *name,
                            int64_t *repo_id, struct error *err);

/* The part of the gate machinery that walks the grants of a gate answers to this timer; its ref is a row of terms_walk. */
#define TERMS_WALK "terms.walk"

/* In a write, by the hub: the first version of a document "ns/slug" of that owner, with one text, in force at once. Nothing when
 * the document is there already. */
enum status terms_publish_text(struct db_conn *tx, struct arena *arena, int64_t owner_id, struct str name,
                               struct str kind, struct str lang, struct str text, struct error *err);

/* At the start of a hub: what is shipped as "templates/..." is published where it is not there yet. */
enum status terms_publish_templates(struct db *db, struct error *err);

#endif
