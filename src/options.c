/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *from_environment(const char *name)
{
    char variable[64];
    int len = snprintf(variable, sizeof variable, "CAIRN_%s", name);
    for (int i = 0; i < len && i < (int)sizeof variable; i++)
        variable[i] = variable[i] == '-' ? '_' : (char)toupper((unsigned char)variable[i]);
    return getenv(variable);
}

static const struct option_spec *find_spec(const char *word, const struct option_spec *specs, size_t count,
                                           const char **inline_value)
{
    size_t len = strcspn(word, "=");
    *inline_value = word[len] ? word + len + 1 : NULL;
    for (size_t i = 0; i < count; i++)
        if (strlen(specs[i].name) == len && memcmp(specs[i].name, word, len) == 0)
            return &specs[i];
    return NULL;
}

enum status options_read(int argc, char **argv, const struct option_spec *specs, size_t count, const char **rest,
                         size_t rest_most, size_t *rest_count, struct error *err)
{
    *rest_count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *value = from_environment(specs[i].name);
        if (value)
            *specs[i].value = value;
    }
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (*rest_count == rest_most)
                return fail(err, INVALID, NULL, "\"%s\" is one word too many", argv[i]);
            rest[(*rest_count)++] = argv[i];
            continue;
        }
        const char *value;
        const struct option_spec *spec = find_spec(argv[i] + 2, specs, count, &value);
        if (!spec)
            return fail(err, INVALID, NULL, "%s is not a flag of this command", argv[i]);
        if (!value && i + 1 == argc)
            return fail(err, INVALID, NULL, "%s needs a value", argv[i]);
        *spec->value = value ? value : argv[++i];
    }
    return OK;
}

bool flag_take(int *argc, char **argv, const char *flag)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++)
        if (strcmp(argv[i], flag) != 0)
            argv[kept++] = argv[i];
    bool taken = kept < *argc;
    *argc = kept;
    return taken;
}

void size_text(int64_t bytes, char out[SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double size = (double)bytes;
    for (; size >= 1023.95; size /= 1024) /* what would be written 1024.0 */
        unit++;
    snprintf(out, SIZE_TEXT, unit > 0 ? "%.1f %s" : "%.0f %s", size, units[unit]);
}
