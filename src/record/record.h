/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_RECORD_RECORD_H
#define CAIRN_RECORD_RECORD_H

#include "ledger/ledger.h"
#include "oms/manifest.h"
#include "prov/find.h"
#include "router/request.h"

/*
 * The record: what happens in the hub, in its transparency log, and how people get at it. Opens the ledger and what
 * hangs on it, puts the leaves of each group of writes into it before they are committed (prov/chain.h), and serves
 * the log (/log/…) and what it says of a repo (/api/…/provenance).
 */
extern const struct module record_module;

#define OLD_LOGS_MOST 64
#define RECORD_WAITING_MOST 10000

struct record {
    struct ledger *ledger;
    struct ledger
        *old[OLD_LOGS_MOST]; /* that are over (record_begin_anew()), from log.1; NULL for one that cannot be read */
    size_t old_count;
    struct witness *witness; /* NULL: no policy, so nobody is asked */
    struct persons *persons;
    struct prov prov;
    struct db *db;
    struct http_topic *checkpoints; /* those who listen for new ones */
    bool has_policy;                /* of witnesses; its file's SHA-256 goes into epochs */
    uint8_t policy[SHA256_SIZE];
    int64_t epoch_us;                      /* monotonic: when the last one was logged; 0: not since the start */
    uint64_t manifests_from;               /* the job's own: leaves before this one have been looked at */
    uint64_t waiting[RECORD_WAITING_MOST]; /* but these commits' manifests wait for their tensors */
    size_t waiting_count;
};

/*
 * Opens the log in dir/log and the keys of people in dir/persons.db, and from then on every write to db is logged. origin
 * is what a new log is called for all its life, such as "hub.example.org/log"; absent: a random name. A log that there is
 * keeps its name. program is this program's own path, for the signer. witness_policy names the policy file of the log's
 * witnesses, who are asked before anything is logged and told of what is; NULL for none.
 *
 * Errors: those of ledger_open() and prov_hook(), so also when database and log do not belong together; of
 * witness_open() and witness_start_check(), so also when a witness knows of more than there is here.
 */
enum status record_start(const char *dir, struct str origin, const char *program, const char *witness_policy,
                         struct db *db, struct record **out, struct error *err);
void record_stop(struct record *record); /* no write comes any more, and the server has been freed */

bool record_exists(const char *dir); /* there is a log in dir */

/*
 * Ends the log in dir, which cannot go on, and begins another one, called origin: the old one is kept as log.N and still
 * shown (/log/old/N/), *number is N (0 when it has been lost), and the new one begins with an epoch that names its last
 * checkpoint. No hub may be running. It can be called again after it was broken off. CONFLICT when the log has that
 * name.
 */
enum status record_begin_anew(const char *dir, struct str origin, const char *program, struct db *db, int64_t *number,
                              struct error *err);

/* Has what was written without the log put into it. */
enum status record_catch_up(struct record *record, struct error *err);

/*
 * The manifest of a commit is logged when it is not yet; *index is its leaf. The caller may read the repo, and holds no reader
 * of the database. UNAVAILABLE with the code RECORD_WAITS_FOR_TENSORS while its safetensors files are being looked at: there is
 * one manifest of a commit, and it has their tensorRoot.
 */
#define RECORD_WAITS_FOR_TENSORS "TensorsPending"
enum status record_manifest(struct hub *hub, const struct repo *repo, const struct oid *commit, uint64_t *index,
                            struct error *err);
/* The same, for requests: waits for the tensors first where that may be a matter of seconds (tensors_await()). */
enum status record_manifest_soon(struct hub *hub, const struct repo *repo, const struct oid *commit, uint64_t *index,
                                 struct error *err);

/*
 * The files of a commit, from what is stored about them: no file is read, but for small ones from before their digests
 * were kept. Lives in the arena. TOO_LARGE over a million files; errors of manifest_make().
 */
enum status record_manifest_files(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                                  struct manifest *out, struct error *err);

/* What a commit holds, as one event: by the hub itself, or by a person who brought a signature. */
struct record_manifest_event {
    int64_t repo_id;
    const struct oid *commit;
    const struct manifest *manifest;     /* of record_manifest_files() */
    int64_t actor_id;                    /* 0: the hub */
    const struct tlog_hash *tensor_root; /* NULL for none */
    struct str evidence;                 /* of the signature, SHA-256 in hex; absent for none */
    bool is_signed;                      /* the actor has signed the evidence, which has been verified */
};
/* Appends it, within the caller's write; db_last_id() is then the event's. */
enum status record_manifest_append(struct db_conn *tx, const struct record_manifest_event *what, struct error *err);

/* dirHash1 of a commit's manifest, in hex; absent when none is logged yet. What has which is in table manifest_digest. */
enum status record_dir_hash(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                            struct str *out, struct error *err);

/* The newest leaf about a commit of a repo that the caller may read, its manifest's before the ref's. */
enum status record_revision_leaf(struct db_conn *conn, int64_t repo_id, const struct oid *commit, uint64_t *index,
                                 bool *found, struct error *err);

/* Replies with the proof file of a leaf of the request's repo; of a manifest with the list of files of the commit that it is of, unless that
 * is NULL or the list too long. */
enum status record_reply_proof(struct request *rq, uint64_t index, const struct oid *manifest_of, struct error *err);

/*
 * Compares the log in dir with what the database knows of it, and both with themselves: entries, tiles and checkpoint; the hash and
 * place of each leaf, the chain of each repo, the heads; and that every event that asks for a leaf has one. The hub may run.
 * progress is called now and then, with numbers of leaves.
 */
enum status record_check(const char *dir, struct db_conn *conn, struct findings *findings,
                         void (*progress)(int64_t done, int64_t of), struct error *err);

#endif
