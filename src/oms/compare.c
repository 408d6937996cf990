/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Compares the files that are there with those that were signed. */
#include "oms/internal.h"
#include "oms/statement.h"

#include <stdlib.h>

struct comparison {
    const struct oms_statement *statement;
    const struct oms_found *found;
    struct buf *lines;
    size_t missing, extra, changed;
};

/* One line for people: "missing: weights.bin was signed but is not here." */
static void say(struct buf *lines, const char *kind, struct str name, const char *what)
{
    buf_printf(lines, "%s: ", kind);
    name_show(lines, name);
    buf_printf(lines, " %s\n", what);
}

static void say_missing(struct comparison *c, struct str name)
{
    const struct str *rule = manifest_rule_for(&c->statement->rules, name);
    c->missing++;
    if (!rule) {
        say(c->lines, "missing", name, "was signed but is not here.");
        return;
    }
    buf_printf(c->lines, "missing: ");
    name_show(c->lines, name);
    buf_printf(c->lines, " was signed but is not here; the rule to ignore \"%.*s\" may have hidden it.\n",
               STR_ARG(*rule));
}

static void say_extra(struct comparison *c, const struct manifest_file *file)
{
    bool unnoticed = c->statement->shard_size && file->size == 0; /* shards cannot tell of empty files */
    if (unnoticed || c->found->extra_allowed || manifest_rule_for(&c->statement->rules, file->name))
        return;
    c->extra++;
    say(c->lines, "extra", file->name, "is here but was not signed.");
}

static enum status digest_of(const struct comparison *c, const struct manifest_file *file,
                             const struct oms_resource *resource, uint8_t *out, struct error *err)
{
    const struct oms_found *found = c->found;
    enum oms_hash hash = c->statement->hash;
    if (found->digest)
        return found->digest(found->context, file, hash, resource->start, resource->end, out, err);
    if (hash != OMS_SHA256 || resource->end != -1)
        return fail(err, UNSUPPORTED, NULL,
                    "The model was signed with a digest that is not known without reading its files again.");
    memcpy(out, file->sha256, SHA256_SIZE);
    return OK;
}

/* The resources from index first up to end are all about this file. */
static enum status compare_file(struct comparison *c, const struct manifest_file *file, size_t first, size_t end,
                                struct error *err)
{
    const struct oms_resource *resources = c->statement->resources;
    bool same = resources[end - 1].end == -1 || resources[end - 1].end == file->size;
    for (size_t i = first; i < end && same; i++) {
        uint8_t digest[OMS_DIGEST_MOST];
        TRY(digest_of(c, file, &resources[i], digest, err));
        same = memcmp(digest, resources[i].digest, oms_hash_size(c->statement->hash)) == 0;
    }
    if (!same) {
        c->changed++;
        say(c->lines, "changed", file->name, "is not what was signed.");
    }
    return OK;
}

/* Walks both lists, sorted by name, side by side. */
static enum status walk(struct comparison *c, const struct manifest_file **files, struct error *err)
{
    const struct oms_resource *resources = c->statement->resources;
    size_t at = 0, next = 0, count = c->statement->count;
    while (at < c->found->count || next < count) {
        int order = next == count ? -1 : at == c->found->count ? 1 : str_cmp(files[at]->name, resources[next].name);
        if (order < 0) {
            say_extra(c, files[at++]);
            continue;
        }
        size_t first = next;
        while (next < count && str_eq(resources[next].name, resources[first].name))
            next++;
        if (order > 0)
            say_missing(c, resources[first].name);
        else
            TRY(compare_file(c, files[at++], first, next, err));
    }
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp((*(const struct manifest_file *const *)a)->name, (*(const struct manifest_file *const *)b)->name);
}

enum status oms_statement_compare(struct arena *arena, const struct oms_statement *statement,
                                  const struct oms_found *found, struct buf *lines, struct error *err)
{
    struct comparison c = {statement, found, lines, 0, 0, 0};
    const struct manifest_file **files = arena_array(arena, found->count + 1, sizeof *files);
    for (size_t i = 0; i < found->count; i++)
        files[i] = &found->files[i];
    qsort(files, found->count, sizeof *files, by_name);
    for (size_t i = 1; i < found->count; i++)
        if (str_eq(files[i]->name, files[i - 1]->name))
            return fail(err, INVALID, NULL, "The file \"%.*s\" is there twice.", STR_ARG(files[i]->name));
    size_t before = lines->len;
    TRY(walk(&c, files, err));
    if (c.missing + c.extra + c.changed == 0)
        return OK;
    struct str rest = str_from(buf_view(lines), before), first;
    str_cut(&rest, '\n', &first);
    return fail(err, UNPROCESSABLE, NULL,
                "The files are not those that were signed: %zu missing, %zu extra, %zu changed. The first: %.*s",
                c.missing, c.extra, c.changed, STR_ARG(first));
}
