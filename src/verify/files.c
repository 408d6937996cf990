/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* A folder against the manifest that was logged. */
#include "base/text.h"
#include "verify/run.h"
#include <stdlib.h>

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

static bool is_listed(const struct proven *proven, const struct manifest_file *file)
{
    return bsearch(file, proven->files.files, proven->files.count, sizeof *file, by_name) != NULL;
}

/* With a list: one line for each file that is not what it should be. */

struct comparison {
    struct run *run;
    size_t right, missing;
    int64_t bytes;
};

static bool compare_file(struct comparison *c, const struct manifest_file *logged)
{
    struct report *report = &c->run->report;
    const struct folder_file *file = folder_find(&c->run->folder, logged->name);
    if (!file) {
        c->missing++;
        return c->run->settings.partial ||
               found(report, FAILED, "files", "missing: %.*s was logged but is not here.", STR_ARG(logged->name));
    }
    if (memcmp(file->file.sha256, logged->sha256, SHA256_SIZE) != 0)
        return found(report, FAILED, "files",
                     "changed: %.*s is not what was logged (%lld bytes with SHA-256 %.*s, logged: %lld with %.*s).",
                     STR_ARG(logged->name), (long long)file->file.size,
                     STR_ARG(hex_encode(&report->arena, file->file.sha256, SHA256_SIZE)), (long long)logged->size,
                     STR_ARG(hex_encode(&report->arena, logged->sha256, SHA256_SIZE)));
    c->right++;
    c->bytes += file->file.size;
    return true;
}

static bool compare_list(struct run *run)
{
    struct comparison c = {.run = run};
    const struct manifest *logged = &run->proven.files;
    bool good = true;
    for (size_t i = 0; i < logged->count; i++)
        good = compare_file(&c, &logged->files[i]) && good;
    for (size_t i = 0; i < run->folder.count; i++) {
        const struct folder_file *file = &run->folder.files[i];
        if (!file->aside && !is_listed(&run->proven, &file->file))
            good = found(&run->report, FAILED, "files", "extra: %.*s is here but was not logged.",
                         STR_ARG(file->file.name));
    }
    if (c.right == 0)
        return good &&
               found(&run->report, FAILED, "files", "None of the %zu files that were logged is here.", logged->count);
    if (good)
        found(&run->report, PASSED, "files", "%zu files of %lld bytes are those that were logged%s.", c.right,
              (long long)c.bytes, c.missing ? "" : ", and no other is here");
    if (c.missing && run->settings.partial)
        found(&run->report, NOTED, "files", "%zu files that were logged are not here, which --partial allows.",
              c.missing);
    return good;
}

/* Without one: all or nothing. */

static bool hash_is_logged(struct run *run, bool aside, struct str *hash, struct manifest *manifest)
{
    const struct folder *folder = &run->folder;
    struct manifest_rules none = {0};
    struct manifest_file *files = arena_array(&run->report.arena, folder->count, sizeof *files);
    size_t count = 0;
    for (size_t i = 0; i < folder->count; i++)
        if (aside || !folder->files[i].aside)
            files[count++] = folder->files[i].file;
    *hash = STR("none");
    if (manifest_make(&run->report.arena, files, count, &none, manifest, NULL) !=
        OK) /* no file: the names are checked */
        return false;
    *hash = hex_encode(&run->report.arena, manifest->dir_hash, SHA256_SIZE);
    return str_eq(*hash, leaf_get(&run->proven.leaf, "dirHash1").text);
}

static bool compare_hash(struct run *run)
{
    struct manifest manifest = {0};
    struct str hash, with_aside;
    bool same = hash_is_logged(run, false, &hash, &manifest);
    if (!same && folder_hash(&run->folder, (struct folder_choice){.aside = true}, &run->progress, &run->report))
        same = hash_is_logged(run, true, &with_aside, &manifest);
    if (same) {
        found(&run->report, PASSED, "files",
              "%zu files of %lld bytes are those that were logged, and no other is here.", manifest.count,
              (long long)manifest.bytes);
        return true;
    }
    return found(
        &run->report, FAILED, "files",
        "The files are not those that were logged: their dirHash1 is %.*s, the log has %.*s. The proof has no list "
        "of files, so nobody can tell from it which one differs.",
        STR_ARG(hash), STR_ARG(leaf_get(&run->proven.leaf, "dirHash1").text));
}

static bool aside_is_listed(const struct run *run)
{
    for (size_t i = 0; run->proven.has_files && i < run->folder.count; i++)
        if (run->folder.files[i].aside && is_listed(&run->proven, &run->folder.files[i].file))
            return true;
    return false;
}

bool files_check(struct run *run)
{
    struct folder_choice choice = {aside_is_listed(run), run->settings.tensors != NULL};
    if (!str_eq(run->proven.leaf.type, STR("manifest")))
        return found(
            &run->report, UNABLE, "files",
            "The proof is about a leaf of type %.*s, which says nothing of files. What a revision holds is logged "
            "when its hub has looked at its tensors, a moment after the upload: get its proof again.",
            STR_ARG(run->proven.leaf.type));
    if (run->settings.partial && !run->proven.has_files)
        return found(&run->report, UNABLE, "files",
                     "The proof has no list of files, and without that all of them are needed.");
    if (!folder_hash(&run->folder, choice, &run->progress, &run->report))
        return false;
    if (run->folder.uncovered)
        found(&run->report, NOTED, "files",
              "What the log does not cover was left alone: .git, .github, .gitattributes, .gitignore.");
    return run->proven.has_files ? compare_list(run) : compare_hash(run);
}

/* Tensors. */

static bool collect(struct run *run, struct tensor *tensors, size_t *count)
{
    bool good = true;
    *count = 0;
    for (size_t i = 0; i < run->folder.count; i++) {
        const struct folder_file *file = &run->folder.files[i];
        if (!file->hashed || !tensor_file_name(file->file.name))
            continue;
        if (file->tensors_error.status != OK)
            good = found(&run->report, FAILED, "tensors", "The tensors of %.*s cannot be read. %s.",
                         STR_ARG(file->file.name), file->tensors_error.message);
        for (size_t j = 0; good && tensors && j < file->tensors.count; j++)
            tensors[*count + j] = file->tensors.items[j];
        *count += file->tensors.count;
    }
    return good;
}

bool tensors_check(struct run *run)
{
    struct report *report = &run->report;
    struct str logged = leaf_get(&run->proven.leaf, "tensorRoot").text;
    struct error err;
    size_t count;
    if (!str_given(logged))
        return found(report, UNABLE, "tensors",
                     "The log has no tensorRoot for this revision, so its tensors cannot be compared.");
    if (!collect(run, NULL, &count))
        return false;
    struct tensor *tensors = arena_array(&report->arena, count + 1, sizeof *tensors);
    collect(run, tensors, &count);
    if (tensor_sort(tensors, count, &err) != OK)
        return found(report, FAILED, "tensors", "%s.", err.message);
    struct tlog_hash root = tensor_root(tensors, count);
    struct str hex = hex_encode(&report->arena, root.bytes, SHA256_SIZE);
    if (!str_eq(hex, logged))
        return found(report, FAILED, "tensors",
                     "The tensors are not those that were logged: their root is %.*s, the log has %.*s.", STR_ARG(hex),
                     STR_ARG(logged));
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        different += !tensor_is_repeated(tensors, i);
    found(report, PASSED, "tensors", "%zu tensors have the root that was logged, %.*s.", different, STR_ARG(hex));
    return true;
}
