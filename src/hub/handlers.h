/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_HANDLERS_H
#define CAIRN_HUB_HANDLERS_H

#include "repo/draft.h"
#include "router/request.h"

/* Handlers, file by file; module.c has their addresses. */
/* service.c */ route_handler health, metrics, agent_harnesses, telemetry, landing;
/* whoami.c */ route_handler whoami;
/* repos.c */ route_handler repos_create, repos_delete, repos_move, repos_settings;
/* repos.c */ route_handler repos_mine, repos_of_org, repos_auth_check;
/* info.c */ route_handler info_get, info_get_revision;
/* list.c */ route_handler list_repos;
/* tree.c */ route_handler tree_get, paths_info;
/* refs.c */ route_handler refs_get, commits_get, branch_create, branch_delete, tag_add, tag_delete, super_squash;
/* rules.c */ route_handler rules_get, rule_put, rule_delete;
/* pulls.c */ route_handler pulls_get, pull_get_one, pull_merge;
/* preupload.c */ route_handler preupload;
/* lfs.c */ route_handler lfs_batch, lfs_locks;
/* lfs.c */ route_handler transfer_put, transfer_part, transfer_complete, transfer_verify;
/* transfer_url.c */ route_handler transfer_signed;
/* commit.c */ route_handler commit_post;
/* resolve.c */ route_handler resolve_get, raw_get, transfer_get;
/* card.c */ route_handler validate_yaml;

/* What these files share. */

/* The kind named by a {kind} parameter, or by the type member of a body ("model" when absent). */
enum status kind_of(struct str name, enum repo_kind *out, struct error *err);

/* "https://hub/datasets/ns/name" */
struct str repo_url(struct request *rq, enum repo_kind kind, struct str full_name);

/* Whether clients are told of Xet for this repo: where they are not, they fetch and send files whole. Its addresses
 * answer all the same, as new clients upload by them without asking (xet-protocol 1.2). */
bool xet_advertised(const struct request *rq, const struct repo *repo);
/* The Xet hash of a large file as its text; absent where it has none or clients are not told of it. */
enum status xet_hash_told(struct request *rq, const uint8_t sha256[SHA256_SIZE], struct str *out, struct error *err);
/* Where a client gets a token for rq's repo at a revision; scope is "read" or "write". */
struct str xet_token_url(struct request *rq, const char *scope, struct str revision);

/* The revision in params[index], resolved. */
enum status request_revision(struct request *rq, size_t index, struct revision *out, struct error *err);

/* The text of .gitattributes or .gitignore at a revision; "" where there is none, or one beyond RULES_TEXT_LIMIT. */
enum status rules_text(struct request *rq, const struct oid *commit, struct str path, struct str *text,
                       struct error *err);

/* The person's name on commits and tags. The address is never the person's own: commits outlive consent. */
struct signature request_signature(struct request *rq);

#endif
