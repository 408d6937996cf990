/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* A folder against its author's signature (OpenSSF Model Signing). */
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "leaf/leaf_type.h"
#include "oms/bundle.h"
#include "verify/run.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static bool read_input(struct run *run, const char *path, size_t limit, const char *what, struct buf *out)
{
    struct error err;
    if (file_read_all(path, limit, out, &err) == OK)
        return true;
    return found(&run->report, UNABLE, "signature", "The %s cannot be read: %s", what, err.message);
}

/* "2026-11-24T04:09:00Z". */
static bool read_time(const char *text, int64_t *out_us)
{
    struct tm tm = {0};
    char again[21];
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int64_t seconds = end && !*end ? (int64_t)timegm(&tm) : -1;
    if (seconds < 0 || seconds >= LEAF_TIME_LIMIT)
        return false;
    leaf_time(seconds, again); /* a 30th of February comes out differently */
    *out_us = seconds * SECOND_US;
    return strcmp(again, text) == 0;
}

static bool verify_by_key(struct run *run, const struct oms_bundle *bundle, struct oms_statement *statement)
{
    auto_buf struct buf pem = {0};
    auto_key EVP_PKEY *key = NULL;
    struct error err;
    char hint[OMS_HINT_SIZE];
    if (!read_input(run, run->settings.key, OMS_PEM_MOST, "key", &pem))
        return false;
    if (oms_key_read_public(buf_view(&pem), &key, &err) != OK)
        return found(&run->report, MISUSED, "signature", "The key %s is not usable. %s", run->settings.key,
                     err.message);
    if (oms_bundle_verify_key(&run->report.arena, bundle, key, statement, &err) != OK)
        return found_error(&run->report, "signature", &err);
    oms_key_hint(key, hint);
    found(&run->report, PASSED, "signature", "The key %s signed a list of %zu files or parts of files.", hint,
          statement->count);
    return true;
}

static bool verify_by_chain(struct run *run, const struct oms_bundle *bundle, struct oms_statement *statement)
{
    auto_buf struct buf anchors = {0};
    struct chain_leaf leaf = {0};
    struct error err;
    int64_t time_us = now_us();
    if (run->settings.at && !read_time(run->settings.at, &time_us))
        return found(&run->report, MISUSED, "signature", "\"%s\" is not a time such as 2026-11-24T04:09:00Z.",
                     run->settings.at);
    if (!read_input(run, run->settings.certificate_chain, CHAIN_ANCHORS_MOST, "certificate chain", &anchors))
        return false;
    if (oms_bundle_verify_chain(&run->report.arena, bundle, buf_view(&anchors), time_us, &leaf, statement, &err) != OK)
        return found_error(&run->report, "signature", &err);
    oms_key_free(&leaf.key);
    found(&run->report, PASSED, "signature", "%.*s signed a list of %zu files or parts of files (certificate %.*s).",
          STR_ARG(leaf.subject), statement->count, STR_ARG(leaf.fingerprint));
    return true;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct oms_resource *)a)->name, ((const struct oms_resource *)b)->name);
}

/* The files to be compared; what is set aside only where it was signed. */
static struct oms_found files_of(struct run *run, const struct oms_statement *statement)
{
    const struct folder *folder = &run->folder;
    struct manifest_file *files = arena_array(&run->report.arena, folder->count + 1, sizeof *files);
    size_t count = 0;
    for (size_t i = 0; i < folder->count; i++) {
        const struct folder_file *file = &folder->files[i];
        struct oms_resource key = {.name = file->file.name};
        if (!file->aside || bsearch(&key, statement->resources, statement->count, sizeof key, by_name))
            files[count++] = file->file;
    }
    return (struct oms_found){.files = files, .count = count, .context = &run->folder};
}

/* Signers choose what their signature leaves out; whoever trusts it should know. */
static void say_left_out(struct run *run, const struct oms_statement *statement, const struct oms_found *files)
{
    for (size_t i = 0; i < files->count; i++)
        if (manifest_rule_for(&statement->rules, files->files[i].name))
            found(&run->report, NOTED, "signature", "The signer left out %.*s: anybody can have changed it.",
                  STR_ARG(files->files[i].name));
}

static bool compare(struct run *run, const struct oms_statement *statement)
{
    auto_buf struct buf lines = {0};
    struct error err = {0};
    struct oms_found files;
    if (statement->hash == OMS_SHA256 && !statement->shard_size) {
        if (!folder_hash(&run->folder, (struct folder_choice){.aside = true}, &run->progress, &run->report))
            return false;
        files = files_of(run, statement);
    } else {
        files = files_of(run, statement);
        files.digest = folder_digest;
    }
    enum status status = oms_statement_compare(&run->report.arena, statement, &files, &lines, &err);
    struct str rest = buf_view(&lines), line;
    while (str_cut(&rest, '\n', &line) && line.len)
        found(&run->report, FAILED, "signature", "%.*s", STR_ARG(line));
    if (status != OK)
        return status != UNPROCESSABLE && found_error(&run->report, "signature", &err);
    found(&run->report, PASSED, "signature", "The files are those that were signed, and no other is here.");
    say_left_out(run, statement, &files);
    return true;
}

bool signature_check(struct run *run)
{
    auto_buf struct buf text = {0};
    struct oms_bundle bundle;
    struct oms_statement statement;
    struct error err;
    if (!read_input(run, run->settings.bundle, OMS_BUNDLE_MOST, "signature", &text))
        return false;
    if (oms_bundle_read(&run->report.arena, buf_view(&text), &bundle, &err) != OK)
        return found_error(&run->report, "signature", &err);
    bool good = run->settings.key ? verify_by_key(run, &bundle, &statement) : verify_by_chain(run, &bundle, &statement);
    return good && compare(run, &statement);
}
