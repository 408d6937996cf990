/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "du.h"
#include "base/json.h"
#include "modules.h"
#include "options.h"
#include "repo/repo.h"
#include "store/store.h"
#include <stdio.h>

/* "ns/name" is a model, as in web addresses. */
static enum status find_repo(struct db_conn *conn, struct arena *arena, const char *text, struct repo *out,
                             struct error *err)
{
    enum repo_kind kind = KIND_MODEL;
    struct str name = str_of(text), ns;
    bool moved;
    for (enum repo_kind other = KIND_DATASET; other <= KIND_SPACE; other++)
        if (str_starts(str_of(text), repo_kind_prefix(other)))
            kind = other;
    name = str_from(name, repo_kind_prefix(kind).len);
    if (!str_cut(&name, '/', &ns) || !str_given(name))
        return fail(err, INVALID, NULL, "\"%s\" is no repo: say ns/name, datasets/ns/name or spaces/ns/name", text);
    enum status status = repo_find(conn, arena, kind, ns, name, out, &moved, err);
    if (status != NOT_FOUND)
        return status;
    return fail(err, NOT_FOUND, NULL, "There is no %.*s %.*s/%.*s", STR_ARG(repo_kind_name(kind)), STR_ARG(ns),
                STR_ARG(name));
}

static void print_row(const char *name, int64_t bytes, const char *what)
{
    char size[SIZE_TEXT];
    size_text(bytes, size);
    printf("  %-8s %12s %20lld bytes   %s\n", name, size, (long long)bytes, what);
}

static void print_table(const struct repo *repo, const struct store_usage *usage)
{
    printf("%.*s%.*s, %lld large file%s\n", STR_ARG(repo_kind_prefix(repo->kind)), STR_ARG(repo->full_name),
           (long long)usage->objects, usage->objects == 1 ? "" : "s");
    print_row("logical", usage->logical, "each content counted whole");
    print_row("unique", usage->unique, "what of that is different");
    print_row("stored", usage->stored, "what that takes on disk");
    print_row("shared", usage->shared, "what of that other repos use too");
}

static void print_json(const struct repo *repo, const struct store_usage *usage)
{
    auto_buf struct buf text = {0};
    struct json_writer json = jw_to(&text);
    jw_object(&json);
    jw_key_str(&json, "kind", repo_kind_name(repo->kind));
    jw_key_str(&json, "repo", repo->full_name);
    jw_key_int(&json, "objects", usage->objects);
    jw_key_int(&json, "logical", usage->logical);
    jw_key_int(&json, "unique", usage->unique);
    jw_key_int(&json, "stored", usage->stored);
    jw_key_int(&json, "shared", usage->shared);
    jw_end(&json);
    printf("%.*s\n", STR_ARG(buf_view(&text)));
}

static enum status measure(struct db *db, struct store *store, const char *name, bool as_json, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct store_usage usage;
    struct repo repo;
    TRY(db_reader(db, &conn, err));
    TRY(find_repo(conn, &arena, name, &repo, err));
    TRY(store_usage(store, conn, repo.id, &usage, err));
    if (as_json)
        print_json(&repo, &usage);
    else
        print_table(&repo, &usage);
    return OK;
}

int du_main(int argc, char **argv)
{
    static const char help[] =
        "cairn du - how much room a repo takes\n\n"
        "  cairn du [--data DIR] [--json] REPO\n\n"
        "REPO is ns/name for a model, datasets/ns/name or spaces/ns/name. What counts are its large files, in all\n"
        "revisions:\n"
        "  logical   each content counted whole\n"
        "  unique    what of that is different: content that files have in common counts once\n"
        "  stored    what that takes on disk, where it may be compressed\n"
        "  shared    what of that other repos use too, and what would thus stay without this one\n"
        "  --json    print one JSON object, in bytes\n"
        "Exit status 0: done; 1: it could not be done; 2: the command was not understood.\n";
    const char *data = "data", *name = NULL;
    const struct option_spec specs[] = {{"data", &data}};
    struct error err = {0};
    struct db *db = NULL;
    struct store *store = NULL;
    size_t rest;
    if (flag_take(&argc, argv, "--help") || flag_take(&argc, argv, "-h")) {
        fputs(help, stdout);
        return 0;
    }
    bool as_json = flag_take(&argc, argv, "--json");
    enum status status = options_read(argc, argv, specs, 1, &name, 1, &rest, &err);
    if (status == OK && !name)
        status = fail(&err, INVALID, NULL, "say of which repo: cairn du --data DIR ns/name");
    if (status == OK)
        status = hub_store_open(data, &db, &store, &err);
    if (status == OK)
        status = measure(db, store, name, as_json, &err);
    store_close(store);
    if (db)
        db_close(db);
    if (status != OK)
        fprintf(stderr, "cairn du: %s\n", err.message);
    return status == OK ? 0 : status == INVALID ? 2 : 1;
}
