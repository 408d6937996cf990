/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/siblings.h"
#include "base/text.h"
#include "repo/tree.h"
#include <pthread.h>

#define SLOTS 128             /* a power of two */
#define LIST_LIMIT (32 << 10) /* bytes of a list worth keeping: all slots together hold at most 4 MiB */
#define PAGE 10000

/* What is remembered. Repo ids are never reused and a commit is named by its content, so an entry is right for ever. */
static struct slot {
    int64_t repo_id; /* 0: empty */
    struct oid commit;
    struct buf list;
} slots[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct slot *slot_of(int64_t repo_id, const struct oid *commit)
{
    return &slots[((uint64_t)repo_id * 31 + commit->bytes[0]) & (SLOTS - 1)];
}

static bool recall(int64_t repo_id, const struct oid *commit, struct json_writer *w)
{
    pthread_mutex_lock(&lock);
    const struct slot *slot = slot_of(repo_id, commit);
    bool found = slot->repo_id == repo_id && oid_eq(&slot->commit, commit);
    if (found)
        jw_raw(w, buf_view(&slot->list));
    pthread_mutex_unlock(&lock);
    return found;
}

static void remember(int64_t repo_id, const struct oid *commit, struct str list)
{
    if (list.len > LIST_LIMIT)
        return;
    pthread_mutex_lock(&lock);
    struct slot *slot = slot_of(repo_id, commit);
    slot->repo_id = repo_id;
    slot->commit = *commit;
    buf_free(&slot->list);
    buf_str(&slot->list, list);
    pthread_mutex_unlock(&lock);
}

static void write_file(struct json_writer *w, struct arena *arena, const struct entry *entry, bool blobs)
{
    jw_object(w);
    jw_key_str(w, "rfilename", entry->path);
    if (blobs) {
        jw_key_int(w, "size", entry->size);
        jw_key_str(w, "blobId", oid_hex(arena, &entry->oid));
    }
    if (blobs && entry->is_lfs) {
        jw_key(w, "lfs");
        jw_object(w);
        jw_key_str(w, "sha256", hex_encode(arena, entry->sha256, SHA256_SIZE));
        jw_key_int(w, "size", entry->size);
        jw_key_int(w, "pointerSize", entry->pointer_size);
        jw_end(w);
    }
    jw_end(w);
}

enum status siblings_write(struct request *rq, struct json_writer *w, int64_t repo_id, const struct oid *commit,
                           bool blobs, struct error *err)
{
    struct listing how = {.recursive = true, .limit = PAGE, .names_only = !blobs};
    struct entry *entries;
    size_t count;
    if (!blobs && recall(repo_id, commit, w))
        return OK;
    size_t start = w->out->len;
    jw_array(w);
    for (bool more = true; more;) {
        TRY(entry_list(rq->db, rq->arena, repo_id, commit, STR(""), &how, &entries, &count, &more, err));
        for (size_t i = 0; i < count; i++)
            if (!entries[i].is_folder)
                write_file(w, rq->arena, &entries[i], blobs);
        if (count > 0)
            how.after = entries[count - 1].path;
    }
    jw_end(w);
    if (!blobs)
        remember(repo_id, commit, str_from(buf_view(w->out), start));
    return OK;
}
