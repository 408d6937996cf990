/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "leaf/extra.h"
#include "base/json.h"
#include "base/text.h"

#define EXTRA_MOST (1024 * 1024)

void extra_write(struct arena *arena, const struct extra *extra, struct buf *out)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key_str(&w, "leaf", extra->leaf);
    jw_key(&w, "openings");
    jw_array(&w);
    for (size_t i = 0; i < extra->opening_count; i++) {
        jw_object(&w);
        jw_key_str(&w, "field", extra->openings[i].field);
        jw_key_str(&w, "secret", hex_encode(arena, extra->openings[i].secret, SHA256_SIZE));
        jw_key_str(&w, "value", extra->openings[i].value);
        jw_end(&w);
    }
    jw_end(&w);
    if (extra->file_count) {
        jw_key(&w, "files");
        jw_array(&w);
        for (size_t i = 0; i < extra->file_count; i++) {
            jw_object(&w);
            jw_key_str(&w, "name", extra->files[i].name);
            jw_key_int(&w, "size", extra->files[i].size);
            jw_key_str(&w, "sha256", hex_encode(arena, extra->files[i].sha256, SHA256_SIZE));
            jw_end(&w);
        }
        jw_end(&w);
    }
    jw_end(&w);
}

static enum status malformed(struct error *err, const char *what)
{
    return fail(err, INVALID, NULL, "What goes with the proof is malformed: %s.", what);
}

static bool copy_text(struct arena *arena, const json_t *object, const char *key, struct str *out)
{
    struct str found = json_get_str(object, key);
    if (str_given(found))
        *out = arena_copy(arena, found);
    return str_given(found);
}

static enum status read_openings(struct arena *arena, const json_t *list, struct extra *out, struct error *err)
{
    size_t count = json_array_size(list);
    if (list && !json_is_array(list))
        return malformed(err, "\"openings\" is not a list");
    if (count > LEAF_LIST_MOST)
        return malformed(err, "it has more openings than a leaf has commitments");
    struct opening *openings = arena_array(arena, count, sizeof *openings);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!copy_text(arena, item, "field", &openings[i].field) ||
            !copy_text(arena, item, "value", &openings[i].value) ||
            !hex_decode(json_get_str(item, "secret"), openings[i].secret, SHA256_SIZE))
            return malformed(err, "an opening needs \"field\", \"secret\" and \"value\"");
    }
    out->openings = openings;
    out->opening_count = count;
    return OK;
}

static enum status read_files(struct arena *arena, const json_t *list, struct extra *out, struct error *err)
{
    size_t count = json_array_size(list);
    if (list && !json_is_array(list))
        return malformed(err, "\"files\" is not a list");
    struct manifest_file *files = arena_array(arena, count, sizeof *files);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        files[i].size = json_get_int(item, "size", -1);
        if (!copy_text(arena, item, "name", &files[i].name) || files[i].size < 0 ||
            !hex_decode(json_get_str(item, "sha256"), files[i].sha256, SHA256_SIZE))
            return malformed(err, "a file needs \"name\", \"size\" and \"sha256\"");
    }
    out->files = files;
    out->file_count = count;
    return OK;
}

enum status extra_parse(struct arena *arena, struct str text, struct extra *out, struct error *err)
{
    auto_json json_t *object = NULL;
    *out = (struct extra){0};
    TRY(json_read(text, EXTRA_MOST, &object, err));
    if (!json_is_object(object) || !copy_text(arena, object, "leaf", &out->leaf))
        return malformed(err, "it lacks the leaf");
    TRY(read_openings(arena, json_object_get(object, "openings"), out, err));
    return read_files(arena, json_object_get(object, "files"), out, err);
}
