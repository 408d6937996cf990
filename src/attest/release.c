/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Releases: that a commit is a version, said by somebody who may write to the repo. */
#include "attest/internal.h"
#include "attest/purl.h"
#include "base/text.h"

struct release {
    struct str version, channel;
    uint64_t manifest;
    int64_t supersedes; /* index of its leaf; -1: of none */
};

/* It must be a release of this repo that is replaced. */
static enum status check_superseded(const struct said *said, int64_t index, struct error *err)
{
    struct prov_entry entry;
    if (index < 0)
        return OK;
    enum status status = prov_entry_at(said->rq->db, said->rq->arena, said->rq->repo.id, (uint64_t)index, &entry, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    if (status == OK && entry.has_event && str_eq(entry.kind, str_of(said->kind->event->name)))
        return OK;
    return fail(err, UNPROCESSABLE, NULL,
                "\"supersedes\" names entry %lld of the log, which is no release of this repo.", (long long)index);
}

static enum status check(struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    struct release *own = said->own = arena_alloc(rq->arena, sizeof *own);
    struct str purl, dir_hash;
    TRY(said_text(said, "purl", &purl, err));
    if (!str_given(purl) || !purl_version(rq->arena, purl, &own->version))
        return fail(err, UNPROCESSABLE, NULL,
                    "The predicate needs a \"purl\" with a version, such as pkg:generic/ns/name@1.0.");
    TRY(said_word(said, "channel", RELEASE_CHANNELS, &own->channel, err));
    if (!str_given(own->channel))
        own->channel = STR("stable");
    TRY(said_index(said, "supersedes", &own->supersedes, err));
    TRY(check_superseded(said, own->supersedes, err));
    return said_manifest(said, &own->manifest, &dir_hash, err);
}

/* A statement whose first parameters are what a release is. */
static enum status prepare(const struct said *said, struct db_conn *tx, const char *sql, struct stmt **out,
                           struct error *err)
{
    const struct release *own = said->own;
    TRY(db_prepare(tx, sql, out, err));
    stmt_bind_int(*out, 1, said->rq->repo.id);
    stmt_bind_str(*out, 2, own->version);
    stmt_bind_str(*out, 3, own->channel);
    stmt_bind_blob(*out, 4, said->commit.bytes, SHA1_SIZE);
    return OK;
}

static const char other_sql[] =
    "SELECT 1 FROM release WHERE repo_id = ? AND version = ? AND (channel = ? OR commit_oid <> ?)";

/* A version is one commit for good; only its channel may change, as from beta to stable. */
static enum status check_free(const struct said *said, struct db_conn *tx, struct error *err)
{
    const struct release *own = said->own;
    auto_stmt struct stmt *other = NULL;
    TRY(prepare(said, tx, other_sql, &other, err));
    bool taken = stmt_next(other);
    TRY(stmt_end(other, err));
    if (taken)
        return fail(err, CONFLICT, NULL,
                    "Version %.*s is released already, in this channel or from another commit. Choose another version.",
                    STR_ARG(own->version));
    return OK;
}

static enum status write(struct said *said, struct db_conn *tx, struct json_writer *w, struct error *err)
{
    const struct release *own = said->own;
    TRY(check_free(said, tx, err));
    jw_key_str(w, "channel", own->channel);
    jw_key_int(w, "manifest", (int64_t)own->manifest);
    if (own->supersedes >= 0)
        jw_key_int(w, "supersedes", own->supersedes);
    jw_key(w, "secrets");
    jw_object(w);
    jw_key_str(w, "version", own->version);
    jw_end(w);
    return OK;
}

static const char add_sql[] =
    "INSERT INTO release (repo_id, version, channel, commit_oid, event_id) VALUES (?, ?, ?, ?, ?)";

static enum status after(struct said *said, struct db_conn *tx, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(prepare(said, tx, add_sql, &add, err));
    stmt_bind_int(add, 5, said->event_id);
    return stmt_run(add, err);
}

const struct statement_kind release_kind = {
    .predicate_types = {RELEASE_PREDICATE, RELEASE_PREDICATE_LATER},
    .event = &attest_events[EVENT_RELEASE],
    .action = ACT_WRITE,
    .most = EVIDENCE_STATEMENT_MOST,
    .repo_name = "packageId",
    .shown = "version channel manifest supersedes",
    .check = check,
    .write = write,
    .after = after,
};
