/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_REPO_H
#define CAIRN_REPO_REPO_H

#include "access/access.h"
#include "base/arena.h"
#include "base/finding.h"
#include "db/db.h"
#include "event/event.h"
#include "store/store.h"

/*
 * Repos: their names and settings (this header), refs (ref.h), what a revision holds (tree.h) and how it changes
 * (draft.h). Git objects are rows; a commit is one write. None of these functions asks
 * access_decide(): the caller has.
 */
extern const struct migration_set repo_migrations;
extern const struct event_kind repo_events[]; /* ends with a NULL name */

enum repo_kind { KIND_MODEL = 1, KIND_DATASET = 2, KIND_SPACE = 3 };
struct str repo_kind_name(enum repo_kind kind);             /* "model" */
struct str repo_kind_plural(enum repo_kind kind);           /* "models" */
struct str repo_kind_prefix(enum repo_kind kind);           /* of web addresses: "", "datasets/", "spaces/" */
bool repo_kind_parse(struct str name, enum repo_kind *out); /* "model" or "models" */

struct repo {
    int64_t id, owner_id;
    struct str public_id; /* 24 hex, random, never reused */
    enum repo_kind kind;
    struct str ns, name, full_name; /* "ns/name" */
    enum visibility visibility;
    bool disabled;
    bool archived;    /* its owner keeps more than the tier allows, for long: it can be read, not changed */
    struct str gated; /* "", "auto" or "manual" */
    struct str sdk;   /* of a space; "" otherwise */
    bool xet_enabled; /* its large files may be offered as Xet chunks */
    int64_t created_us, updated_us;
};

/*
 * Finds by name without case. NOT_FOUND "RepoNotFound" otherwise. When the name is one that the repo had before it was
 * moved, *moved is true and out has the new name. Strings are copied into arena.
 */
enum status repo_find(struct db_conn *conn, struct arena *arena, enum repo_kind kind, struct str ns, struct str name,
                      struct repo *out, bool *moved, struct error *err);
enum status repo_get(struct db_conn *conn, struct arena *arena, int64_t id, struct repo *out, struct error *err);
struct access_object repo_access(const struct repo *repo);

/* How many repos an account owns. */
enum status repo_owned(struct db_conn *conn, int64_t owner_id, int64_t *count, struct error *err);
/* Forgets the names that repos had in a name space before they were moved away, in a write. */
enum status repo_forget_space(struct db_conn *tx, struct str ns, struct error *err);

/* One name of a repo: as account_name_check(), and not ending in ".git". */
enum status repo_name_check(struct str name, struct error *err);

struct repo_new {
    enum repo_kind kind;
    int64_t owner_id;
    struct str ns, name;
    enum visibility visibility;
    struct str sdk; /* spaces */
    int64_t by_id;  /* account; also the author of the first commit */
    struct str by_name, by_email;
};
/*
 * Makes the repo with one commit "initial commit" on main, which holds .gitattributes (and for spaces README.md, for
 * static ones index.html and style.css; hub-protocol 1.2). CONFLICT when the name is
 * taken; an old name of another repo is taken over.
 */
enum status repo_create(struct db *db, struct arena *arena, const struct repo_new *what, struct repo *out,
                        struct error *err);
/* Also releases the store's objects, and frees the name. */
enum status repo_delete(struct db *db, const struct repo *repo, int64_t by_id, struct error *err);
/* The old name becomes an alias until another repo takes it. CONFLICT when the target exists. */
enum status repo_move(struct db *db, const struct repo *repo, int64_t new_owner_id, struct str ns, struct str name,
                      int64_t by_id, struct error *err);

struct repo_settings {
    const enum visibility *visibility; /* NULL: as it is */
    struct str gated;                  /* absent: as it is */
    const bool *xet_enabled;           /* NULL: as it is */
    const bool *archived;              /* the same; by the hub alone */
};
enum status repo_set(struct db *db, const struct repo *repo, const struct repo_settings *settings, int64_t by_id,
                     struct error *err);

/* The same three, within a write that does more: what stands behind a repo has to go along with it. */
struct repo_move_to {
    const struct repo *repo;
    int64_t new_owner_id, by_id;
    struct str ns, name;
};
enum status repo_set_in_write(struct db_conn *tx, int64_t repo_id, const struct repo_settings *settings, int64_t by_id,
                              struct error *err);
enum status repo_delete_in_write(struct db_conn *tx, int64_t repo_id, int64_t by_id, struct error *err);
enum status repo_move_in_write(struct db_conn *tx, const struct repo_move_to *to, struct error *err);

/*
 * Checks every git object's id, every ref's target, that all trees and blobs of every reachable commit are there, and
 * that every LFS pointer names an object that the repo holds. Goes on after a finding.
 */
enum status repo_check(struct db_conn *conn, struct findings *findings, struct error *err);

#endif
