/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gc.h"
#include "base/time.h"
#include "modules.h"
#include "options.h"
#include "store/store.h"
#include <stdio.h>

static void print_freed(const struct store_freed *freed, bool dry_run)
{
    char size[SIZE_TEXT];
    size_text(freed->bytes, size);
    puts(dry_run ? "would be removed" : "removed");
    printf("  large files that no repo holds  %lld\n", (long long)freed->objects);
    printf("  xorbs that nothing uses         %lld\n", (long long)freed->xorbs);
    printf("  files in the store folder       %lld\n", (long long)freed->files);
    printf("  disk space                      %s (%lld bytes)\n", size, (long long)freed->bytes);
}

int gc_main(int argc, char **argv)
{
    static const char help[] =
        "cairn gc - remove what nobody needs any more\n\n"
        "  cairn gc [--data DIR] [--dry-run]\n\n"
        "Large files that no repo holds, the bytes that only they used, and what broken uploads left behind. The\n"
        "server does the same every hour and may go on working. Chunks that clients were told of stay for 22 days,\n"
        "as clients may still build on them. Bytes that lie in one file with others go by the first run an hour or\n"
        "more later, once nobody reads them. While cairn backup or another sweep is at work, nothing is removed.\n"
        "  --dry-run   only tell what would be removed\n"
        "Exit status 0: done; 1: it could not be done; 2: the command was not understood.\n";
    const char *data = "data";
    const struct option_spec specs[] = {{"data", &data}};
    struct error err = {0};
    struct db *db = NULL;
    struct store *store = NULL;
    struct store_freed freed;
    size_t rest;
    if (flag_take(&argc, argv, "--help") || flag_take(&argc, argv, "-h")) {
        fputs(help, stdout);
        return 0;
    }
    bool dry_run = flag_take(&argc, argv, "--dry-run");
    enum status status = options_read(argc, argv, specs, 1, NULL, 0, &rest, &err);
    if (status == OK)
        status = hub_store_open(data, &db, &store, &err);
    if (status == OK)
        status = store_sweep(store, now_us(), dry_run, &freed, &err);
    store_close(store);
    if (db)
        db_close(db);
    if (status == OK && freed.busy)
        status = fail(&err, UNAVAILABLE, NULL,
                      "nothing was removed, as a backup or another sweep is at work. Run it again once that has "
                      "ended.");
    if (status == OK)
        print_freed(&freed, dry_run);
    else
        fprintf(stderr, "cairn gc: %s\n", err.message);
    return status == OK ? 0 : status == INVALID ? 2 : 1;
}
