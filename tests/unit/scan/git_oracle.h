/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asks the real git what a .gitattributes or .gitignore says, in a repo of its own that the user's settings do not
 * reach. */
#ifndef CAIRN_TEST_GIT_ORACLE_H
#define CAIRN_TEST_GIT_ORACLE_H

#include "base/buf.h"
#include "base/file.h"
#include <assert.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct oracle {
    char folder[64];
};

static inline void oracle_path(const struct oracle *o, const char *name, char path[128])
{
    int len = snprintf(path, 128, "%s/%s", o->folder, name);
    assert(len > 0 && len < 128);
}

static inline void oracle_write(const struct oracle *o, const char *name, struct str content)
{
    char path[128];
    oracle_path(o, name, path);
    FILE *file = fopen(path, "wb");
    assert(file);
    assert(fwrite(content.data, 1, content.len, file) == content.len);
    assert(fclose(file) == 0);
}

/* Runs git in the folder, from the file "paths" to the file "answer". No shell: nothing here is expanded or split. */
static inline int oracle_git(const struct oracle *o, const char *const *argv)
{
    char home[128], in[128], out[128];
    char *environment[] = {home,
                           "GIT_CONFIG_NOSYSTEM=1",
                           "GIT_ATTR_NOSYSTEM=1",
                           "GIT_CONFIG_GLOBAL=/dev/null",
                           "PATH=/usr/bin:/bin:/usr/local/bin",
                           NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    snprintf(home, sizeof home, "HOME=%s", o->folder);
    oracle_path(o, "paths", in);
    oracle_path(o, "answer", out);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY,
                                     0); /* it warns of the odd lines that we want */
    posix_spawn_file_actions_addchdir_np(&actions, o->folder);
    assert(posix_spawnp(&pid, "git", &actions, NULL, (char *const *)argv, environment) == 0);
    posix_spawn_file_actions_destroy(&actions);
    assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Only what git cannot do without, made by hand, so that stopping removes a handful of known names and nothing else. */
static const char *const oracle_folders[] = {".git", ".git/objects", ".git/refs"};
static const char *const oracle_files[] = {".git/HEAD",  ".git/config", ".gitattributes",
                                           ".gitignore", "paths",       "answer"};

static inline void oracle_start(struct oracle *o)
{
    char path[128];
    snprintf(o->folder, sizeof o->folder, "/tmp/cairn-scan-XXXXXX");
    assert(mkdtemp(o->folder));
    for (size_t i = 0; i < sizeof oracle_folders / sizeof *oracle_folders; i++) {
        oracle_path(o, oracle_folders[i], path);
        assert(folder_make(path, 0700, NULL) == OK);
    }
    oracle_write(o, ".git/HEAD", STR("ref: refs/heads/main\n"));
    oracle_write(o, ".git/config", STR("[core]\nrepositoryformatversion = 0\nbare = false\n"));
    oracle_write(o, "paths", STR(""));
}

static inline void oracle_stop(const struct oracle *o)
{
    char path[128];
    for (size_t i = 0; i < sizeof oracle_files / sizeof *oracle_files; i++) {
        oracle_path(o, oracle_files[i], path);
        unlink(path);
    }
    for (size_t i = sizeof oracle_folders / sizeof *oracle_folders; i > 0; i--) {
        oracle_path(o, oracle_folders[i - 1], path);
        rmdir(path);
    }
    rmdir(o->folder);
}

/* Runs git with the paths on its standard input, each ended by NUL; returns what it prints. */
static inline void oracle_ask(const struct oracle *o, const struct str *paths, size_t count, const char *const *argv,
                              struct buf *answer)
{
    auto_buf struct buf input = {0};
    char path[128];
    for (size_t i = 0; i < count; i++) {
        buf_str(&input, paths[i]);
        buf_byte(&input, 0);
    }
    oracle_write(o, "paths", buf_view(&input));
    assert(oracle_git(o, argv) <= 1); /* check-ignore: 1 when none is ignored */
    oracle_path(o, "answer", path);
    assert(file_read_all(path, 64 << 20, answer, NULL) == OK);
}

static inline struct str oracle_field(struct str *rest)
{
    struct str field = {0};
    str_cut(rest, '\0', &field);
    return field;
}

/* says[i]: is paths[i] large by this .gitattributes? */
static inline void oracle_lfs(const struct oracle *o, struct str text, const struct str *paths, size_t count,
                              bool *says)
{
    static const char *const argv[] = {"git", "check-attr", "-z", "--stdin", "filter", NULL};
    auto_buf struct buf answer = {0};
    oracle_write(o, ".gitattributes", text);
    oracle_ask(o, paths, count, argv, &answer);
    struct str rest = buf_view(&answer);
    for (size_t i = 0; i < count; i++) { /* path, attribute, value */
        assert(str_eq(oracle_field(&rest), paths[i]));
        oracle_field(&rest);
        says[i] = str_eq(oracle_field(&rest), STR("lfs"));
    }
}

/* says[i]: is paths[i] excluded by this .gitignore? */
static inline void oracle_ignored(const struct oracle *o, struct str text, const struct str *paths, size_t count,
                                  bool *says)
{
    static const char *const argv[] = {"git", "check-ignore", "--no-index", "-z", "-v", "-n", "--stdin", NULL};
    auto_buf struct buf answer = {0};
    oracle_write(o, ".gitignore", text);
    oracle_ask(o, paths, count, argv, &answer);
    struct str rest = buf_view(&answer);
    for (size_t i = 0; i < count; i++) { /* source, line, pattern, path; the first three are empty without a match */
        struct str source = oracle_field(&rest);
        oracle_field(&rest);
        struct str pattern = oracle_field(&rest);
        assert(str_eq(oracle_field(&rest), paths[i]));
        says[i] = source.len > 0 && !str_starts(pattern, STR("!"));
    }
}

#endif
