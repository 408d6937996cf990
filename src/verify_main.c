/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "verify_main.h"
#include "base/file.h"
#include "cairn/verify.h"
#include "options.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_MOST 4096

static const char help[] =
    "cairn verify - is this what was logged, and what was signed?\n\n"
    "  cairn verify FOLDER --proof FILE (--vkey LINE | --policy FILE)\n"
    "  cairn verify FOLDER --bundle FILE (--key FILE | --certificate-chain FILE [--at TIME])\n"
    "  cairn verify FOLDER --hub URL --repo NS/NAME [--revision REV]\n"
    "  cairn verify --proof FILE (--vkey LINE | --policy FILE)\n"
    "  cairn verify --log URL|FOLDER\n\n"
    "Verifies a downloaded model without believing the hub that it came from. Only --hub and an address in --log\n"
    "use the network. --proof and --bundle may be given together, and then both must hold.\n\n"
    "Against a proof (a .tlog-proof file, which every revision has on its hub):\n"
    "  --proof FILE    shows that the hub's log holds an entry about the revision. With FOLDER, its files must be\n"
    "                  those of the entry: each that is missing, extra or changed is named\n"
    "  --vkey LINE     the log's key, \"name+id+base64\": better not from the hub alone, but from people you know\n"
    "  --policy FILE   logs and witnesses (c2sp.org/tlog-policy): a quorum of them must have confirmed the log\n"
    "  --max-age TIME  with a policy: how old the word of a quorum may be, as 90s, 15m, 36h or 7d\n"
    "  --tensor FILE   check one tensor instead of the files: FILE is the hub's .../tensors/REV/proof?name=NAME\n"
    "  --tensors       also compare the digests of all tensors in the safetensors files\n"
    "  --partial       files may be missing from FOLDER; those that are there must be right\n"
    "  --links         follow symbolic links to files, as in the cache of hf download; otherwise a link fails\n"
    "Against the signature of the author (OpenSSF Model Signing v1.0):\n"
    "  --bundle FILE   the signature, model.sig\n"
    "  --key FILE      the author's public key (PEM)\n"
    "  --certificate-chain FILE\n"
    "                  the certificates (PEM) that may vouch for the signer's\n"
    "  --at TIME       when those must have been valid, as 2026-11-24T04:09:00Z; now when not given\n"
    "Against a hub, which is asked for the proof:\n"
    "  --hub URL       its address. Without --vkey or --policy its key is trusted once, and remembered\n"
    "  --repo NS/NAME  and --type model|dataset|space, --revision REV: what it is about; the model's main when not\n"
    "                  given. The id of a commit is checked; what a branch means is the hub's word\n"
    "  --token-file FILE\n"
    "                  for repos that not everybody may read; otherwise HF_TOKEN is used\n"
    "A whole log:\n"
    "  --log URL       reads all entries (C2SP tlog-tiles: URL/checkpoint, URL/tile/...; a hub's is at /log),\n"
    "                  computes all hashes, and follows the chains of all repos. A folder of such files will do\n"
    "--hub and --log remember the largest checkpoint of a log, and fail when it goes back or shows another history:\n"
    "  --state FOLDER  where; $XDG_STATE_HOME/cairn or ~/.local/state/cairn when not given\n\n"
    "  --json          print one JSON object in place of lines\n"
    "  --quiet         print only what failed\n\n"
    "What passed, and what is worth knowing, goes to standard output; what failed to standard error; a line each.\n"
    "Exit status 0: everything that was named was checked and is right; 1: a check failed; 2: the command was not\n"
    "understood; 3: a check could not be made, because a file cannot be read or a hub does not answer.\n";

static void show_progress(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "\r\033[K%s", line); /* one line that changes; only on a terminal */
}

static enum status set_token(struct cairn_verify *verify, const char *file, bool hub, struct error *err)
{
    auto_buf struct buf token = {0};
    if (!file) {
        const char *from_environment = getenv("HF_TOKEN");
        if (hub && from_environment && from_environment[0])
            cairn_verify_set(verify, "token", from_environment);
        return OK;
    }
    TRY(file_read_all(file, TOKEN_MOST, &token, err));
    buf_byte(&token, '\0');
    token.data[strcspn(token.data, "\r\n")] = '\0';
    cairn_verify_set(verify, "token", token.data);
    return OK;
}

static void print_findings(const struct cairn_verify *verify, bool quiet)
{
    for (size_t i = 0; i < cairn_verify_count(verify); i++) {
        const struct cairn_finding *finding = cairn_verify_finding(verify, i);
        bool good = strcmp(finding->outcome, "passed") == 0 || strcmp(finding->outcome, "note") == 0;
        if (quiet && good)
            continue;
        fflush(stdout); /* so that the lines stay in order where both go to one place */
        fprintf(good ? stdout : stderr, "%s: %s: %s\n", finding->outcome, finding->check, finding->text);
    }
}

static int run(struct cairn_verify *verify, bool as_json, bool quiet)
{
    static const char *const last_words[] = {"verified", "NOT verified: a check failed", NULL,
                                             "NOT verified: a check could not be made"};
    bool on_terminal = isatty(STDERR_FILENO) && !quiet;
    if (on_terminal)
        cairn_verify_on_progress(verify, show_progress, NULL);
    enum cairn_verdict verdict = cairn_verify_run(verify);
    if (on_terminal)
        fputs("\r\033[K", stderr);
    if (as_json)
        puts(cairn_verify_json(verify));
    else
        print_findings(verify, quiet);
    fflush(stdout);
    if (!as_json && last_words[verdict] && !(quiet && verdict == CAIRN_VERIFIED))
        fprintf(verdict == CAIRN_VERIFIED ? stdout : stderr, "%s\n", last_words[verdict]);
    return fflush(stdout) == 0 && !ferror(stdout) ? (int)verdict : CAIRN_UNABLE; /* a full disk is no success */
}

/* The settings of the library that are options here by the same names; "hub" stands first. */
static const char *const values[] = {"hub",  "repo",   "type",   "revision", "proof",
                                     "vkey", "policy", "bundle", "key",      "certificate-chain",
                                     "at",   "log",    "state",  "max-age",  "tensor"};
static const char *const flags[] = {"tensors", "partial", "links"};
#define VALUES (sizeof values / sizeof *values)

static enum status read_options(struct cairn_verify *verify, int argc, char **argv, struct error *err)
{
    const char *given[VALUES + 1] = {0}, *folder = NULL;
    struct option_spec specs[VALUES + 1] = {[VALUES] = {"token-file", &given[VALUES]}};
    size_t rest;
    for (size_t i = 0; i < VALUES; i++)
        specs[i] = (struct option_spec){values[i], &given[i]};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        char flag[32];
        snprintf(flag, sizeof flag, "--%s", flags[i]);
        if (flag_take(&argc, argv, flag))
            cairn_verify_set(verify, flags[i], "1");
    }
    TRY(options_read(argc, argv, specs, VALUES + 1, &folder, 1, &rest, err));
    if (given[0] && given[0] == getenv("CAIRN_HUB") && !given[1])
        given[0] = NULL; /* it stands there for other commands: without --repo no hub is to be asked */
    for (size_t i = 0; i < VALUES; i++)
        cairn_verify_set(verify, values[i], given[i]);
    cairn_verify_set(verify, "folder", folder);
    return set_token(verify, given[VALUES], given[0] != NULL, err);
}

int verify_main(int argc, char **argv)
{
    struct error err = {0};
    if (flag_take(&argc, argv, "--help") || flag_take(&argc, argv, "-h")) {
        fputs(help, stdout);
        return 0;
    }
    bool as_json = flag_take(&argc, argv, "--json"), quiet = flag_take(&argc, argv, "--quiet");
    struct cairn_verify *verify = cairn_verify_new();
    enum status status = read_options(verify, argc, argv, &err);
    int result = status == OK ? run(verify, as_json, quiet) : status == INVALID ? CAIRN_MISUSED : CAIRN_UNABLE;
    cairn_verify_free(verify);
    if (status != OK)
        fprintf(stderr, "cairn verify: %s\n", err.message);
    return result;
}
