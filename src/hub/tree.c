/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders and paths of a revision (hub-protocol 1.5). */
#include "base/path.h"
#include "base/text.h"
#include "base/time.h"
#include "hub/entry_json.h"
#include "hub/handlers.h"

#define TREE_PAGE 1000
#define TREE_PAGE_EXPANDED 100 /* each entry of these costs a look into history */
#define PATHS_LIMIT 1000
#define PATHS_BODY_LIMIT (2 << 20)

static enum status write_large(struct request *rq, struct json_writer *w, const struct entry *entry, struct error *err)
{
    struct str xet_hash;
    TRY(xet_hash_told(rq, entry->sha256, &xet_hash, err));
    jw_key(w, "lfs");
    jw_object(w);
    jw_key_str(w, "oid", hex_encode(rq->arena, entry->sha256, SHA256_SIZE));
    jw_key_int(w, "size", entry->size);
    jw_key_int(w, "pointerSize", entry->pointer_size);
    jw_end(w);
    if (str_given(xet_hash))
        jw_key_str(w, "xetHash", xet_hash);
    return OK;
}

enum status entry_write(struct request *rq, struct json_writer *w, const struct entry *entry, bool expand,
                        struct error *err)
{
    struct arena *arena = rq->arena;
    jw_object(w);
    jw_key_str(w, "type", entry->is_folder ? STR("directory") : STR("file"));
    jw_key_str(w, "oid", oid_hex(arena, &entry->oid));
    jw_key_int(w, "size", entry->size);
    if (entry->is_lfs)
        TRY(write_large(rq, w, entry, err));
    jw_key_str(w, "path", entry->path);
    if (expand && entry->last_commit) {
        jw_key(w, "lastCommit");
        jw_object(w);
        jw_key_str(w, "id", oid_hex(arena, &entry->last_commit->id));
        jw_key_str(w, "title", entry->last_commit->title);
        jw_key_str(w, "date", time_iso(arena, entry->last_commit->at_us));
        jw_end(w);
    }
    jw_end(w);
    return OK;
}

/* GET /api/{api}/tree/{rev}/{path*}: the path's slashes may be quoted; the cursor is the last path of the page before.
 */
enum status tree_get(struct request *rq, struct error *err)
{
    struct revision revision;
    struct entry *entries;
    size_t count;
    bool more, expand = request_query_true(rq, "expand");
    struct listing how = {
        .recursive = request_query_true(rq, "recursive"),
        .last_commit = expand,
        .after = request_query(rq, "cursor", 0),
    };
    int64_t page = expand ? TREE_PAGE_EXPANDED : TREE_PAGE;
    if (!str_to_i64(request_query(rq, "limit", 0), &how.limit) || how.limit < 1 || how.limit > page)
        how.limit = page;
    TRY(request_revision(rq, 0, &revision, err));
    reply_header(rq->http, "X-Repo-Commit", "%.*s", STR_ARG(oid_hex(rq->arena, &revision.commit)));
    struct str folder = rq->params[1];
    while (str_ends(folder, STR("/")))
        folder.len--;
    TRY(entry_list(rq->db, rq->arena, rq->repo.id, &revision.commit, folder, &how, &entries, &count, &more, err));

    auto_buf struct buf body = {0};
    buf_reserve(&body, 64 + count * 256);
    struct json_writer w = jw_to(&body);
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        TRY(entry_write(rq, &w, &entries[i], expand, err));
    jw_end(&w);
    if (more && count > 0)
        request_link_next(rq, entries[count - 1].path);
    request_reply_json(rq, &body);
    return OK;
}

/* Paths-info. */

struct wanted {
    struct str *paths;
    size_t count;
    bool expand;
};

static enum status wanted_add(struct wanted *wanted, struct str path, struct error *err)
{
    if (wanted->count == PATHS_LIMIT)
        return fail(err, TOO_LARGE, NULL, "At most %d paths fit in one request: ask in several.", PATHS_LIMIT);
    wanted->paths[wanted->count++] = path;
    return OK;
}

static enum status wanted_from_json(struct request *rq, struct wanted *wanted, struct error *err)
{
    json_t *body;
    TRY(request_json(rq, PATHS_BODY_LIMIT, &body, err));
    const json_t *paths = json_object_get(body, "paths");
    wanted->expand = json_get_bool(body, "expand", false);
    if (!json_is_array(paths))
        return fail(err, INVALID, NULL, "\"paths\" must be a list of strings");
    for (size_t i = 0; i < json_array_size(paths); i++) {
        const json_t *path = json_array_get(paths, i);
        if (!json_is_string(path))
            return fail(err, INVALID, NULL, "\"paths\" must be a list of strings");
        TRY(wanted_add(wanted, (struct str){json_string_value(path), json_string_length(path)}, err));
    }
    return OK;
}

static enum status wanted_from_form(struct request *rq, struct wanted *wanted, struct error *err)
{
    struct str text, name, value;
    TRY(request_body(rq, PATHS_BODY_LIMIT, &text, err));
    while (form_next(rq->arena, &text, &name, &value)) {
        if (str_eq(name, STR("paths")) || str_eq(name, STR("paths[]")))
            TRY(wanted_add(wanted, value, err));
        else if (str_eq(name, STR("expand")))
            wanted->expand = str_eq_nocase(value, STR("true"));
    }
    return str_given(text) ? fail(err, INVALID, NULL, "The form is not encoded as it should be.") : OK;
}

/* POST /api/{api}/paths-info/{rev}: a form from the Python client, JSON from the JavaScript one. Unknown paths are
 * left out. */
enum status paths_info(struct request *rq, struct error *err)
{
    struct revision revision;
    struct wanted wanted = {.paths = arena_array(rq->arena, PATHS_LIMIT, sizeof *wanted.paths)};
    bool is_json = str_starts(http_header(rq->http, "content-type"), STR("application/json"));
    TRY(is_json ? wanted_from_json(rq, &wanted, err) : wanted_from_form(rq, &wanted, err));
    TRY(request_revision(rq, 0, &revision, err));

    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_array(&w);
    for (size_t i = 0; i < wanted.count; i++) {
        struct entry entry;
        struct str path = wanted.paths[i];
        while (str_ends(path, STR("/")))
            path.len--;
        if (path.len == 0)
            continue;
        enum status found =
            entry_find(rq->db, rq->arena, rq->repo.id, &revision.commit, path, wanted.expand, &entry, err);
        if (found == OK)
            TRY(entry_write(rq, &w, &entry, wanted.expand, err));
        else if (found != NOT_FOUND)
            return found;
    }
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
