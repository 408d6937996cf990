/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* What is in a folder. */
#include "verify/folder.h"
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the Hub's Python library keeps notes about the files that it downloads to a folder. */
#define TOOLS_OWN STR(".cache/huggingface/")

struct listing {
    struct folder *folder;
    struct report *report;
    struct manifest_rules rules;
    struct stat own[8]; /* the files that the user named */
    size_t own_count;
};

static bool list_folder(struct listing *listing, int fd, struct str prefix, unsigned depth);

static bool is_own(const struct listing *listing, const struct stat *status)
{
    for (size_t i = 0; i < listing->own_count; i++)
        if (listing->own[i].st_dev == status->st_dev && listing->own[i].st_ino == status->st_ino)
            return true;
    return false;
}

static bool add_file(struct listing *listing, struct str name, const struct stat *status)
{
    struct folder *folder = listing->folder;
    struct error err;
    if (manifest_name_check(name, &err) != OK)
        return found_error(listing->report, "files", &err);
    if (folder->count == FOLDER_FILES_MOST)
        return found(listing->report, UNABLE, "files", "%s has more than %d files.", folder->path, FOLDER_FILES_MOST);
    folder->files = array_room(&folder->arena, folder->files, folder->count, &folder->capacity, sizeof *folder->files);
    folder->files[folder->count++] = (struct folder_file){
        .file = {.name = arena_copy(&folder->arena, name), .size = status->st_size},
        .aside = str_starts(name, TOOLS_OWN) || is_own(listing, status),
    };
    return true;
}

static bool cannot_read(struct listing *listing, struct str name)
{
    return found(listing->report, UNABLE, "files", "%.*s in %s cannot be read: %s.", STR_ARG(name),
                 listing->folder->path, strerror(errno));
}

static bool list_below(struct listing *listing, int parent, const char *entry, struct str name, unsigned depth)
{
    int fd = openat(parent, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct str prefix = arena_printf(&listing->folder->arena, "%.*s/", STR_ARG(name));
    if (depth == FOLDER_DEPTH_MOST)
        errno = ELOOP;
    if (fd >= 0 && depth < FOLDER_DEPTH_MOST)
        return list_folder(listing, fd, prefix, depth + 1);
    fd_close(&fd);
    return cannot_read(listing, name);
}

static bool list_entry(struct listing *listing, int parent, const char *entry, struct str name, unsigned depth)
{
    struct folder *folder = listing->folder;
    struct stat status;
    if (manifest_rule_for(&listing->rules, name)) {
        folder->uncovered++;
        return true;
    }
    if (fstatat(parent, entry, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return cannot_read(listing, name);
    if (S_ISDIR(status.st_mode))
        return list_below(listing, parent, entry, name, depth);
    if (S_ISLNK(status.st_mode) && !folder->follow)
        return found(listing->report, FAILED, "files",
                     "link: %.*s is a symbolic link, so what it leads to could be changed unseen. Verify a folder of "
                     "plain files, or say that links may be followed.",
                     STR_ARG(name));
    if (S_ISLNK(status.st_mode) && fstatat(parent, entry, &status, 0) != 0)
        return cannot_read(listing, name);
    if (!S_ISREG(status.st_mode))
        return found(listing->report, FAILED, "files", "extra: %.*s is not a regular file.", STR_ARG(name));
    return add_file(listing, name, &status);
}

/* Closes fd. */
static bool list_folder(struct listing *listing, int fd, struct str prefix, unsigned depth)
{
    bool good = true;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        fd_close(&fd);
        return cannot_read(listing, prefix);
    }
    for (const struct dirent *entry = readdir(stream); entry && good; entry = readdir(stream)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct str name = arena_printf(&listing->folder->arena, "%.*s%s", STR_ARG(prefix), entry->d_name);
        good = list_entry(listing, fd, entry->d_name, name, depth);
    }
    closedir(stream);
    return good;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct folder_file *)a)->file.name, ((const struct folder_file *)b)->file.name);
}

bool folder_open(struct folder *folder, const char *path, bool follow, const char *const *own, size_t own_count,
                 struct report *report)
{
    struct listing listing = {.folder = folder, .report = report};
    *folder = (struct folder){.path = path, .follow = follow};
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0)
        return found(report, UNABLE, "files", "The folder %s cannot be read: %s.", path, strerror(errno));
    if (manifest_rules_make(&folder->arena, NULL, 0, &listing.rules, NULL) != OK)
        abort();
    for (size_t i = 0; i < own_count; i++)
        if (own[i] && stat(own[i], &listing.own[listing.own_count]) == 0)
            listing.own_count++;
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !list_folder(&listing, fd, STR(""), 0))
        return fd < 0 ? cannot_read(&listing, STR(".")) : false;
    if (folder->count)
        qsort(folder->files, folder->count, sizeof *folder->files, by_name);
    return true;
}

void folder_free(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        arena_free(&folder->files[i].arena);
    arena_free(&folder->arena);
    fd_close(&folder->fd);
}

struct folder_file *folder_find(const struct folder *folder, struct str name)
{
    struct folder_file key = {.file.name = name};
    return folder->count ? bsearch(&key, folder->files, folder->count, sizeof key, by_name) : NULL;
}
