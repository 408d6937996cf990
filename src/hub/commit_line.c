/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/commit_line.h"
#include "base/path.h"
#include "base/text.h"

static enum status take_path(struct arena *arena, const json_t *value, const char *key, struct str *out,
                             struct error *err)
{
    struct str path = json_get_str(value, key);
    if (!str_given(path))
        return fail(err, INVALID, NULL, "An operation of the commit lacks \"%s\"", key);
    if (str_ends(path, STR("/")))
        path.len--;
    TRY(path_check(path, err));
    *out = arena_copy(arena, path);
    return OK;
}

static struct str take_text(struct arena *arena, const json_t *value, const char *key)
{
    struct str text = json_get_str(value, key);
    return str_given(text) ? arena_copy(arena, text) : text;
}

static enum status parse_header(struct arena *arena, const json_t *value, struct commit_line *out, struct error *err)
{
    out->summary = take_text(arena, value, "summary");
    out->description = take_text(arena, value, "description");
    out->parent_commit = take_text(arena, value, "parentCommit");
    if (!str_given(out->summary) || str_trim(out->summary).len == 0)
        return fail(err, INVALID, NULL, "The commit's header needs a \"summary\"");
    if (out->summary.len + out->description.len > MESSAGE_LIMIT)
        return fail(err, TOO_LARGE, NULL, "\"summary\" and \"description\" have over %d bytes together", MESSAGE_LIMIT);
    struct str parent = out->parent_commit;
    if (!str_given(parent))
        return OK;
    bool hex = parent.len >= 5 && parent.len <= 40;
    for (size_t i = 0; hex && i < parent.len; i++)
        hex = strchr("0123456789abcdefABCDEF", parent.data[i]) != NULL;
    return hex ? OK : fail(err, INVALID, NULL, "\"parentCommit\" must be a commit id of 5 to 40 hex digits");
}

enum status commit_line_file(struct arena *arena, const json_t *value, struct commit_line *out, struct buf *content,
                             struct error *err)
{
    struct str text = json_get_str(value, "content"), encoding = json_get_str(value, "encoding");
    *out = (struct commit_line){.kind = LINE_FILE, .size = -1};
    content->len = 0;
    TRY(take_path(arena, value, "path", &out->path, err));
    if (json_object_get(value, "oldPath"))
        TRY(take_path(arena, value, "oldPath", &out->old_path, err));
    if (!str_given(text))
        return fail(err, INVALID, NULL, "The file %.*s lacks \"content\"", STR_ARG(out->path));
    if (!str_given(encoding) || str_eq(encoding, STR("utf-8"))) {
        buf_str(content, text);
    } else if (!str_eq(encoding, STR("base64"))) {
        return fail(err, INVALID, NULL, "\"encoding\" must be base64 or utf-8");
    } else if (!base64_decode_into(text, content)) {
        return fail(err, INVALID, NULL, "The content of %.*s is not base64", STR_ARG(out->path));
    }
    if (content->len > REGULAR_FILE_LIMIT)
        return fail(err, TOO_LARGE, NULL, "%.*s is too large to travel inside a commit: upload it as a large file",
                    STR_ARG(out->path));
    return OK;
}

static enum status parse_lfs_file(struct arena *arena, const json_t *value, struct commit_line *out, struct error *err)
{
    struct str algo = json_get_str(value, "algo");
    TRY(take_path(arena, value, "path", &out->path, err));
    if (json_object_get(value, "oldPath"))
        TRY(take_path(arena, value, "oldPath", &out->old_path, err));
    if (str_given(algo) && !str_eq(algo, STR("sha256")))
        return fail(err, INVALID, NULL, "\"algo\" of a large file must be sha256");
    if (!hex_decode(json_get_str(value, "oid"), out->sha256, SHA256_SIZE))
        return fail(err, INVALID, NULL, "\"oid\" of %.*s must be 64 hex digits", STR_ARG(out->path));
    out->size = json_get_int(value, "size", -1);
    return out->size >= -1 ? OK : fail(err, INVALID, NULL, "\"size\" of %.*s is negative", STR_ARG(out->path));
}

static enum status parse_value(struct arena *arena, struct str key, const json_t *value, struct commit_line *out,
                               struct buf *content, struct error *err)
{
    if (str_eq(key, STR("header"))) {
        out->kind = LINE_HEADER;
        return parse_header(arena, value, out, err);
    }
    if (str_eq(key, STR("file")))
        return commit_line_file(arena, value, out, content, err);
    if (str_eq(key, STR("lfsFile"))) {
        out->kind = LINE_LFS_FILE;
        return parse_lfs_file(arena, value, out, err);
    }
    bool folder = str_eq(key, STR("deletedFolder"));
    if (!folder && !str_eq(key, STR("deletedFile")))
        return fail(err, INVALID, NULL,
                    "The commit has an operation that this hub does not know; it takes header, file, lfsFile, "
                    "deletedFile and deletedFolder");
    out->kind = folder ? LINE_DELETED_FOLDER : LINE_DELETED_FILE;
    return take_path(arena, value, "path", &out->path, err);
}

enum status commit_line_parse(struct arena *arena, struct str line, struct commit_line *out, struct buf *content,
                              struct error *err)
{
    auto_json json_t *json = NULL;
    *out = (struct commit_line){.size = -1};
    content->len = 0;
    TRY(json_read(line, COMMIT_LINE_LIMIT, &json, err));
    struct str key = json_get_str(json, "key");
    const json_t *value = json_object_get(json, "value");
    if (!str_given(key) || !json_is_object(value))
        return fail(err, INVALID, NULL, "Every line of a commit is an object with \"key\" and \"value\"");
    return parse_value(arena, key, value, out, content, err);
}
