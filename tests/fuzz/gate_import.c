/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A report that another hub exported: whatever it is, what comes out is plain rows with answers that are JSON. */
#include "gate/import.h"
#include "module.h"
#include <assert.h>

const struct module *const modules[] = {NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct import_file file;
    struct error err = {0};
    struct str text = arena_copy(&arena, (struct str){(const char *)data, size});
    if (import_read(&arena, text, &file, &err) != OK) {
        assert(err.status != OK && err.message[0]);
        return 0;
    }
    for (size_t i = 0; i < file.count; i++) {
        auto_json json_t *answers = NULL;
        assert(json_read(file.people[i].answers, SIZE_MAX, &answers, NULL) == OK && json_is_object(answers));
        assert(str_is_utf8(file.people[i].user) && file.people[i].user.len > 0);
    }
    return 0;
}
