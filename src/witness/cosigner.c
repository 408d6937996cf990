/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "witness/cosigner.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "tlog/policy.h"
#include "witness/submission.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_MOST 65536             /* bytes of a file */
#define YEAR_2020 INT64_C(1577836800) /* a clock before it was never set, and its times would be believed */
/* Each costs a sync of the disk, and whoever has read a log's checkpoints can send them again. */
#define COSIGNATURES_A_SECOND 16

/* A log that is witnessed. */
struct watched {
    struct str origin;
    char hash[2 * SHA256_SIZE + 1]; /* of the origin */
    struct note_verifier *keys;
    size_t key_count, key_room;
    pthread_mutex_t
        lock; /* for what follows; held while the file is written, so that of two that race one comes later */
    struct tlog_hash root;
    uint64_t size; /* of the tree cosigned last; 0 when there was none */
    struct buf note;
    int64_t second; /* how many cosignatures were written in which second */
    unsigned count;
};

struct cosigner {
    struct arena arena;
    struct str folder;
    struct note_signer signer;
    struct str vkey;
    struct watched *logs;
    size_t count;
};

static struct str path_of(struct arena *arena, const struct cosigner *cosigner, const char *name)
{
    return arena_printf(arena, "%.*s/%s", STR_ARG(cosigner->folder), name);
}

/* The key. */

static enum status key_make(struct cosigner *cosigner, const char *path, struct str name, struct error *err)
{
    auto_buf struct buf text = {0};
    uint8_t seed[NOTE_SEED_SIZE];
    random_bytes(seed, sizeof seed);
    TRY(note_signer_make(&cosigner->arena, NOTE_COSIGNATURE, name, seed, &cosigner->signer, err));
    note_signer_write(&text, &cosigner->signer);
    buf_byte(&text, '\n');
    enum status status = file_write_durable(path, buf_view(&text), 0600, err);
    OPENSSL_cleanse(seed, sizeof seed);
    OPENSSL_cleanse(text.data, text.len);
    return status;
}

static enum status key_read(struct cosigner *cosigner, const char *path, struct str name, struct error *err)
{
    auto_buf struct buf text = {0};
    enum status status = file_read_all(path, MEMORY_MOST, &text, err);
    if (status == NOT_FOUND)
        return key_make(cosigner, path, name, err);
    TRY(status);
    status = note_signer_parse(&cosigner->arena, str_trim(buf_view(&text)), &cosigner->signer, err);
    OPENSSL_cleanse(text.data, text.len);
    if (status != OK || cosigner->signer.verifier.kind != NOTE_COSIGNATURE)
        return fail(err, CORRUPT, NULL,
                    "%s is not the private key of a witness (kind 4). A log's key must not be used for this. Put the "
                    "right file back, or move the whole folder away to begin as a new witness.",
                    path);
    return OK;
}

static enum status key_open(struct cosigner *cosigner, struct str name, struct error *err)
{
    auto_buf struct buf line = {0};
    TRY(key_read(cosigner, path_of(&cosigner->arena, cosigner, "key").data, name, err));
    note_verifier_write(&line, &cosigner->signer.verifier);
    cosigner->vkey = arena_copy(&cosigner->arena, buf_view(&line));
    return OK;
}

/* Which logs. */

static struct watched *watched_find(const struct cosigner *cosigner, struct str origin)
{
    for (size_t i = 0; i < cosigner->count; i++)
        if (str_eq(cosigner->logs[i].origin, origin))
            return &cosigner->logs[i];
    return NULL;
}

static struct watched *watched_add(struct cosigner *cosigner, struct str origin)
{
    struct watched *log = &cosigner->logs[cosigner->count++];
    uint8_t digest[SHA256_SIZE];
    sha256(origin, digest);
    log->origin = origin;
    memcpy(log->hash, hex_encode(&cosigner->arena, digest, sizeof digest).data, sizeof log->hash);
    log->root = tlog_root(&(struct tlog_frontier){0});
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

/* A log may have several keys; those that nothing here can verify leave it without a voice. */
static void watch(struct cosigner *cosigner, const struct policy *policy)
{
    cosigner->logs = arena_array(&cosigner->arena, policy->log_count, sizeof *cosigner->logs);
    for (size_t i = 0; i < policy->log_count; i++) {
        const struct note_verifier *key = &policy->logs[i].verifier;
        struct watched *log = watched_find(cosigner, key->name);
        if (!log)
            log = watched_add(cosigner, key->name);
        if (key->kind != NOTE_ED25519)
            continue;
        log->keys = array_room(&cosigner->arena, log->keys, log->key_count, &log->key_room, sizeof *log->keys);
        log->keys[log->key_count++] = *key;
    }
}

/* A policy must have a quorum line, which says nothing here, so a file may leave it out. */
static enum status logs_open(struct cosigner *cosigner, const char *file, struct error *err)
{
    auto_buf struct buf text = {0};
    struct policy policy;
    TRY(file_read_all(file, POLICY_MOST, &text, err));
    if (policy_parse(&cosigner->arena, buf_view(&text), &policy, NULL) != OK) {
        struct error why = {0};
        buf_str(&text, STR("quorum none\n"));
        enum status status = policy_parse(&cosigner->arena, buf_view(&text), &policy, &why);
        if (status != OK)
            return fail(err, status, NULL, "%s: %s", file, why.message);
    }
    watch(cosigner, &policy);
    return OK;
}

/* What was cosigned. */

static enum status remembered(struct cosigner *cosigner, struct watched *log, struct arena *arena, struct error *err)
{
    struct note note;
    struct checkpoint checkpoint;
    uint64_t time;
    TRY(note_parse(arena, buf_view(&log->note), &note, err));
    TRY(checkpoint_parse(note.text, &checkpoint, err));
    if (!str_eq(checkpoint.origin, log->origin) ||
        cosignature_check(&note, &cosigner->signer.verifier, &time) != NOTE_SIGNED)
        return fail(err, UNPROCESSABLE, NULL, "It is not signed with this witness's key.");
    log->size = checkpoint.size;
    log->root = checkpoint.root;
    return OK;
}

static enum status memory_open(struct cosigner *cosigner, struct watched *log, struct error *err)
{
    auto_arena struct arena arena = {0};
    const char *path = path_of(&arena, cosigner, log->hash).data;
    struct error why = {0};
    enum status status = file_read_all(path, MEMORY_MOST, &log->note, err);
    if (status != OK)
        return status == NOT_FOUND ? OK : status;
    if (remembered(cosigner, log, &arena, &why) != OK)
        return fail(err, CORRUPT, NULL,
                    "%s should hold what this witness cosigned last of %.*s, and does not: %s Put the file back as it "
                    "was, not an older one, or move the whole folder away to begin as a new witness with a new key.",
                    path, STR_ARG(log->origin), why.message);
    return OK;
}

static enum status open_all(struct cosigner *cosigner, const char *logs_file, struct str name, struct error *err)
{
    TRY(folder_make(cosigner->folder.data, 0700, err));
    TRY(key_open(cosigner, name, err));
    TRY(logs_open(cosigner, logs_file, err));
    for (size_t i = 0; i < cosigner->count; i++)
        TRY(memory_open(cosigner, &cosigner->logs[i], err));
    return OK;
}

enum status cosigner_open(const char *folder, const char *logs_file, struct str name, struct cosigner **out,
                          struct error *err)
{
    struct cosigner *cosigner = calloc(1, sizeof *cosigner);
    if (!cosigner)
        abort();
    cosigner->folder = arena_copy(&cosigner->arena, str_of(folder));
    enum status status = open_all(cosigner, logs_file, name, err);
    if (status != OK) {
        cosigner_close(cosigner);
        return status;
    }
    *out = cosigner;
    return OK;
}

void cosigner_close(struct cosigner *cosigner)
{
    if (!cosigner)
        return;
    for (size_t i = 0; i < cosigner->count; i++) {
        pthread_mutex_destroy(&cosigner->logs[i].lock);
        buf_free(&cosigner->logs[i].note);
    }
    note_signer_clear(&cosigner->signer);
    arena_free(&cosigner->arena);
    free(cosigner);
}

struct str cosigner_vkey(const struct cosigner *cosigner)
{
    return cosigner->vkey;
}

/* The table of provenance 1.7. */

static enum status check_signed(const struct watched *log, const struct submission *what, struct error *err)
{
    struct error why = {0};
    if (note_verify(&what->note, log->keys, log->key_count, &why) == OK)
        return OK;
    return fail(err, FORBIDDEN, NULL, "%s Witnessed here are the keys that were configured for %.*s.", why.message,
                STR_ARG(log->origin));
}

static enum status check_continues(const struct watched *log, const struct submission *what, struct error *err)
{
    const struct checkpoint *next = &what->checkpoint;
    struct tlog_hash empty = tlog_root(&(struct tlog_frontier){0});
    bool continues = what->old == 0 ? what->proof.count == 0 && (next->size > 0 || tlog_hash_eq(&next->root, &empty))
                                    : tlog_extends(what->old, &log->root, next->size, &next->root, &what->proof);
    if (!continues)
        return fail(err, UNPROCESSABLE, NULL,
                    "It is not proved that the tree of %llu leaves continues the one of %llu that this witness "
                    "cosigned. If the proof was made right, the log has two histories.",
                    (unsigned long long)next->size, (unsigned long long)what->old);
    return OK;
}

static enum status check_rate(struct watched *log, int64_t second, struct error *err)
{
    if (log->second != second)
        log->count = 0;
    log->second = second;
    if (log->count == COSIGNATURES_A_SECOND)
        return fail(err, TOO_MANY, NULL, "This witness cosigns a log's checkpoints %d times a second at most.",
                    COSIGNATURES_A_SECOND);
    log->count++;
    return OK;
}

/* The note as it is kept and shown: of the lines that came with it, only those of keys that were checked. */
static void write_cosigned(struct buf *out, const struct watched *log, const struct note *note, struct str line)
{
    buf_str(out, note->text);
    buf_byte(out, '\n');
    for (size_t i = 0; i < log->key_count; i++) {
        const struct note_line *found = note_find(note, &log->keys[i]);
        if (found)
            note_line_write(out, found);
    }
    buf_str(out, line);
}

/* Signatures of the same bytes are the same, so a checkpoint that comes again within its second is written already. */
static enum status remember(struct cosigner *cosigner, struct watched *log, const struct submission *what,
                            struct str line, int64_t second, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf note = {0};
    write_cosigned(&note, log, &what->note, line);
    if (str_eq(buf_view(&note), buf_view(&log->note)))
        return OK;
    TRY(check_rate(log, second, err));
    TRY(file_write_durable(path_of(&arena, cosigner, log->hash).data, buf_view(&note), 0600, err));
    struct buf old = log->note;
    log->note = note;
    note = old;
    log->size = what->checkpoint.size;
    log->root = what->checkpoint.root;
    return OK;
}

static enum status cosign(struct cosigner *cosigner, struct watched *log, struct arena *arena,
                          const struct submission *what, int64_t now_us, struct str *line, struct error *err)
{
    auto_buf struct buf text = {0};
    int64_t second = now_us / SECOND_US;
    TRY(check_continues(log, what, err));
    if (second < YEAR_2020)
        return fail(err, UNAVAILABLE, NULL,
                    "The clock of this witness is wrong, so it signs no times until it is set.");
    cosignature_sign(what->note.text, &cosigner->signer, (uint64_t)second, &text);
    TRY(remember(cosigner, log, what, buf_view(&text), second, err));
    *line = arena_copy(arena, buf_view(&text));
    return OK;
}

static enum status answer(struct cosigner *cosigner, struct watched *log, struct arena *arena,
                          const struct submission *what, int64_t now_us, struct cosigner_answer *out, struct error *err)
{
    out->conflict = what->old != log->size;
    if (!out->conflict)
        return cosign(cosigner, log, arena, what, now_us, &out->text, err);
    out->text = arena_printf(arena, "%llu\n", (unsigned long long)log->size);
    return OK;
}

enum status cosigner_add(struct cosigner *cosigner, struct arena *arena, struct str body, int64_t now_us,
                         struct cosigner_answer *out, struct error *err)
{
    struct submission what;
    TRY(submission_parse(arena, body, &what, err));
    struct watched *log = watched_find(cosigner, what.checkpoint.origin);
    if (!log)
        return fail(err, NOT_FOUND, NULL, "The log %.*s is not witnessed here.", STR_ARG(what.checkpoint.origin));
    TRY(check_signed(log, &what, err));
    if (what.old > what.checkpoint.size)
        return fail(err, INVALID, NULL, "The old tree cannot have more leaves (%llu) than the new one (%llu).",
                    (unsigned long long)what.old, (unsigned long long)what.checkpoint.size);
    pthread_mutex_lock(&log->lock);
    enum status status = answer(cosigner, log, arena, &what, now_us, out, err);
    pthread_mutex_unlock(&log->lock);
    return status;
}

enum status cosigner_latest(struct cosigner *cosigner, struct str origin_hash, struct buf *out, struct error *err)
{
    for (size_t i = 0; i < cosigner->count; i++) {
        struct watched *log = &cosigner->logs[i];
        if (!str_eq(str_of(log->hash), origin_hash))
            continue;
        size_t before = out->len;
        pthread_mutex_lock(&log->lock);
        buf_str(out, buf_view(&log->note));
        pthread_mutex_unlock(&log->lock);
        if (out->len > before)
            return OK;
    }
    return fail(err, NOT_FOUND, NULL, "No checkpoint of such a log has been cosigned here.");
}
