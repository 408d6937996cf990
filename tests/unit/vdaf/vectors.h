/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Other people's test vectors, which lie beside the repository: ../shared/vectors. */
#ifndef CAIRN_TESTS_VDAF_VECTORS_H
#define CAIRN_TESTS_VDAF_VECTORS_H

#include "../base/check.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* From this program upwards to the first folder that has shared/vectors. */
static inline const char *vectors_folder(void)
{
    static char path[4096];
    if (path[0])
        return path;
    if (readlink("/proc/self/exe", path, sizeof path - 32) < 0)
        broken("this program has no path");
    for (char *slash; (slash = strrchr(path, '/'));) {
        strcpy(slash, "/shared/vectors");
        if (access(path, R_OK) == 0)
            return path;
        *slash = '\0';
    }
    broken("there is no shared/vectors beside this repository");
    return NULL;
}

static inline json_t *vector_read(const char *folder, const char *name)
{
    char path[8192];
    struct error err;
    auto_buf struct buf text = {0};
    json_t *vector = NULL;
    snprintf(path, sizeof path, "%s/%s/%s", vectors_folder(), folder, name);
    if (file_read_all(path, 1 << 22, &text, &err) != OK || json_read(buf_view(&text), 1 << 22, &vector, &err) != OK)
        broken("%s: %s", path, err.message);
    return vector;
}

/* Calls body with each vector of the folder whose name starts with prefix; returns how many there were. */
static inline int vectors_each(const char *folder, const char *prefix, void (*body)(const char *name, json_t *vector))
{
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", vectors_folder(), folder);
    DIR *items = opendir(path);
    assert_non_null(items);
    int count = 0;
    for (struct dirent *item; (item = readdir(items));) {
        if (strncmp(item->d_name, prefix, strlen(prefix)) != 0)
            continue;
        auto_json json_t *vector = vector_read(folder, item->d_name);
        body(item->d_name, vector);
        count++;
    }
    closedir(items);
    return count;
}

static inline struct str hex_bytes(struct arena *arena, struct str hex)
{
    size_t len = hex.len / 2;
    uint8_t *out = arena_alloc(arena, len ? len : 1);
    assert_true(hex.len % 2 == 0 && hex_decode(hex, out, len));
    return (struct str){(char *)out, len};
}

static inline struct str hex_field(struct arena *arena, const json_t *object, const char *key)
{
    return hex_bytes(arena, json_get_str(object, key));
}

static inline struct str hex_item(struct arena *arena, const json_t *array, size_t i)
{
    return hex_bytes(arena, str_of(json_string_value(json_array_get(array, i))));
}

#define assert_bytes(got, want) check_bytes((got), (want), __FILE__, __LINE__)
static inline void check_bytes(struct str got, struct str want, const char *file, int line)
{
    if (str_eq(got, want))
        return;
    size_t at = 0;
    while (at < got.len && at < want.len && got.data[at] == want.data[at])
        at++;
    print_error("%zu bytes instead of %zu, first difference at %zu\n", got.len, want.len, at);
    _fail(file, line);
}

#endif
