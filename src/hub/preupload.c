/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/{api}/preupload/{rev} (hub-protocol 1.6): how each file is to be sent, and what the hub has of it already.
 */
#include "base/path.h"
#include "base/text.h"
#include "hub/commit_line.h"
#include "hub/handlers.h"
#include "leaf/tensor.h"
#include "quota/quota.h"
#include "scan/attributes.h"

#define BODY_LIMIT (8 << 20)
#define FILES_LIMIT 1000
#define LARGE_FROM (10 << 20) /* bytes; from here on a text, too, is kept outside git */

struct rules {
    struct attributes *attributes;
    struct ignore *ignore;
};

enum status rules_text(struct request *rq, const struct oid *commit, struct str path, struct str *text,
                       struct error *err)
{
    struct entry entry;
    *text = STR("");
    enum status found = entry_find(rq->db, rq->arena, rq->repo.id, commit, path, false, &entry, err);
    if (found == NOT_FOUND)
        return OK;
    TRY(found);
    if (entry.is_folder || entry.is_lfs || entry.size > RULES_TEXT_LIMIT)
        return OK;
    return blob_read(rq->db, rq->arena, rq->repo.id, &entry.oid, text, err);
}

/* Rules beyond the limits count as none: otherwise who commits such a file could never upload again. */
static enum status load_rules(struct request *rq, const json_t *body, const struct oid *commit, struct rules *out,
                              struct error *err)
{
    struct str attributes = json_get_str(body, "gitAttributes"), ignore = json_get_str(body, "gitIgnore");
    if (!str_given(attributes))
        TRY(rules_text(rq, commit, STR(".gitattributes"), &attributes, err));
    if (!str_given(ignore))
        TRY(rules_text(rq, commit, STR(".gitignore"), &ignore, err));
    if (attributes_parse(rq->arena, attributes, &out->attributes, NULL) != OK)
        TRY(attributes_parse(rq->arena, STR(""), &out->attributes, err));
    return ignore_parse(rq->arena, ignore, &out->ignore, NULL) == OK
               ? OK
               : ignore_parse(rq->arena, STR(""), &out->ignore, err);
}

/* Text for git means: no NUL, and UTF-8 up to a character that the end of the sample may have cut. */
static bool looks_binary(struct str sample)
{
    if (memchr(sample.data, 0, sample.len))
        return true;
    for (size_t cut = 0; cut <= 3 && cut <= sample.len; cut++)
        if (str_is_utf8(str_slice(sample, 0, sample.len - cut)))
            return false;
    return true;
}

static bool is_large(struct request *rq, const struct rules *rules, const json_t *file, struct str path)
{
    int64_t size = json_get_int(file, "size", 0);
    struct str sample = STR("");
    if (size == 0)
        return false;
    if (size >= LARGE_FROM || attributes_is_lfs(rules->attributes, path))
        return true;
    base64_decode(rq->arena, json_get_str(file, "sample"), &sample);
    return looks_binary(sample);
}

/* The content's own id, so that the client can leave out what has not changed: git blob id, or SHA-256 of a large file.
 */
static struct str current_id(struct request *rq, const struct entry *entry)
{
    return entry->is_lfs ? hex_encode(rq->arena, entry->sha256, SHA256_SIZE) : oid_hex(rq->arena, &entry->oid);
}

static enum status write_file(struct request *rq, struct json_writer *w, const struct rules *rules,
                              const struct oid *commit, const json_t *file, struct error *err)
{
    struct entry entry;
    struct str path = json_get_str(file, "path");
    if (!str_given(path))
        return fail(err, INVALID, NULL, "Every file needs a \"path\"");
    TRY(path_check(path, err)); /* now, and not after its bytes have been sent */
    bool large = is_large(rq, rules, file, path);
    jw_object(w);
    jw_key_str(w, "path", path);
    jw_key_str(w, "uploadMode", large ? STR("lfs") : STR("regular"));
    jw_key_bool(w, "shouldIgnore", ignore_matches(rules->ignore, path));
    enum status found = entry_find(rq->db, rq->arena, rq->repo.id, commit, path, false, &entry, err);
    if (found == OK && !entry.is_folder &&
        entry.is_lfs == large) /* the other kind of id would mislead the comparison */
        jw_key_str(w, "oid", current_id(rq, &entry));
    else if (found != OK && found != NOT_FOUND)
        return found;
    jw_end(w);
    return OK;
}

static bool has_tensors(const json_t *files)
{
    bool found = false;
    for (size_t i = 0; i < json_array_size(files); i++)
        found = found || tensor_file_name(json_get_str(json_array_get(files, i), "path"));
    return found;
}

enum status preupload(struct request *rq, struct error *err)
{
    json_t *body;
    struct revision revision;
    struct rules rules;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(request_revision(rq, 0, &revision, err));
    const json_t *files = json_object_get(body, "files");
    if (!json_is_array(files) || json_array_size(files) > FILES_LIMIT)
        return fail(err, INVALID, NULL, "\"files\" must be a list of at most %d files", FILES_LIMIT);
    TRY(load_rules(rq, body, &revision.commit, &rules, err));

    if (has_tensors(files)) /* the commit would be refused, after all the bytes have been sent */
        TRY(quota_room_of_repo(rq->db, rq->repo.id, UNIT_SCAN, 1, err));

    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    jw_object(&w);
    jw_key(&w, "files");
    jw_array(&w);
    for (size_t i = 0; i < json_array_size(files); i++)
        TRY(write_file(rq, &w, &rules, &revision.commit, json_array_get(files, i), err));
    jw_end(&w);
    jw_key_str(&w, "commitOid", oid_hex(rq->arena, &revision.commit));
    jw_end(&w);
    request_reply_json(rq, &out);
    return OK;
}
