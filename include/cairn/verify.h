/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_H
#define CAIRN_VERIFY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * libcairn: is this model what its hub logged, and what its author signed? Nothing here needs the hub's word: a log's
 * key and a policy of witnesses, or an author's key, decide. Without "hub" or an address in "log" nothing touches the
 * network.
 *
 *     struct cairn_verify *verify = cairn_verify_new();
 *     cairn_verify_set(verify, "folder", "./flora");
 *     cairn_verify_set(verify, "proof", "flora.tlog-proof");
 *     cairn_verify_set(verify, "policy", "policy.txt");
 *     if (cairn_verify_run(verify) != CAIRN_VERIFIED)
 *         for (size_t i = 0; i < cairn_verify_count(verify); i++)
 *             puts(cairn_verify_finding(verify, i)->text);
 *     cairn_verify_free(verify);
 *
 * Texts are UTF-8 and end with NUL; every one that is returned belongs to its struct cairn_verify, and stays until that
 * is run again or freed. Several may be used at once, each by one thread at a time. Out of memory ends the program.
 */
struct cairn_verify;

struct cairn_verify *cairn_verify_new(void);
void cairn_verify_free(struct cairn_verify *verify); /* NULL is fine */

/*
 * Says what is to be verified, and against what. The value is copied; NULL takes a setting back, a later value replaces
 * an earlier one. Returns 0, or -1 when there is no setting of that name. Paths are as for open(); flags are set by any
 * value but "" and "0".
 *
 * Against a proof file (c2sp.org/tlog-proof@v1) of a revision's manifest:
 *   "folder"       the downloaded files; without it only the proof itself is verified
 *   "proof"        path of the proof file
 *   "vkey"         the log's key, as "name+id+base64"
 *   "policy"       path of a policy file: logs, witnesses, quorum. One of these two must be given; with both, the
 *                  key is that of "vkey", and witnesses come from the file
 *   "max-age"      with a policy: how old the word of a quorum of witnesses may be, "90s", "15m", "36h" or "7d"
 *   "tensor"       path of the proof of one tensor, as the hub gives it (…/tensors/REV/proof?name=…): only that tensor is
 *                  checked then, in whatever safetensors file of the folder it is, and no file
 *   "tensors"      flag: also the digests of all tensors in safetensors files
 *   "partial"      flag: files of the revision may be missing, so long as those that are there are right
 *   "links"        flag: symbolic links count as the files that they lead to; otherwise a link is a failure
 *
 * Against a signature by OpenSSF Model Signing, instead of a proof or beside one:
 *   "bundle"       path of the signature
 *   "key"          path of the author's public key (PEM), or
 *   "certificate-chain"
 *                  path of the certificates (PEM) that are trusted to end the signature's chain
 *   "at"           as of when the certificates must be valid, "2026-11-24T04:09:00Z"; now when not given
 *
 * Against a hub, which is asked for the proof:
 *   "hub"          its address, "https://hub.example.org"
 *   "repo"         "ns/name"
 *   "type"         "model" (when not given), "dataset" or "space"
 *   "revision"     branch, tag or commit; "main" when not given
 *   "token"        for repos that not everybody may read
 *                  Without "vkey" and "policy" the hub is asked for its key, which is trusted the first time and
 *                  compared from then on; findings say so.
 *
 * A whole log, alone:
 *   "log"          its address or a folder, with "checkpoint" and "tile/" below it (C2SP tlog-tiles)
 *
 * For "hub" and "log":
 *   "state"        the folder that remembers keys and checkpoints, so that a log cannot go back or show another
 *                  history; $XDG_STATE_HOME/cairn or ~/.local/state/cairn when not given
 */
int cairn_verify_set(struct cairn_verify *verify, const char *name, const char *value);

/* Called with a line of text (without a newline) now and then while a run goes on, on the thread that runs. */
void cairn_verify_on_progress(struct cairn_verify *verify, void (*progress)(void *context, const char *line),
                              void *context);

/* The exit statuses of the command cairn verify. When several apply: failed before misused before unable. */
enum cairn_verdict {
    CAIRN_VERIFIED = 0, /* everything that was named was checked, and is right */
    CAIRN_FAILED = 1,   /* a check failed */
    CAIRN_MISUSED = 2,  /* the settings do not fit together, leave nothing to check, or name a key that is none */
    CAIRN_UNABLE = 3,   /* a check could not be made: a file cannot be read, a hub does not answer */
};

/* Verifies, which may take long: files are read whole. May be called again, with the same settings or others. */
enum cairn_verdict cairn_verify_run(struct cairn_verify *verify);

/* What the last run found, in its order. */
struct cairn_finding {
    const char *outcome; /* "passed", "failed", "unable", "misused", or "note" for what is only to be known */
    const char *check;   /* "checkpoint", "inclusion", "leaf", "opening", "files", "tensors", "signature", "key", … */
    const char *text;    /* one line: what, and why */
};
size_t cairn_verify_count(const struct cairn_verify *verify);
const struct cairn_finding *cairn_verify_finding(const struct cairn_verify *verify,
                                                 size_t index); /* NULL: none there */

/* The last run as one JSON object: {"verdict": "verified" | "failed" | "misused" | "unable", "findings": [{"outcome",
 * "check", "text"}, …], "log": {"origin", "size", "root", "index", "cosignatures", "seenBy", "freshAt"}?, "leaf":
 * {…}?}. */
const char *cairn_verify_json(struct cairn_verify *verify);

const char *cairn_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
