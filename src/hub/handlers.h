/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_HANDLERS_H
#define CAIRN_HUB_HANDLERS_H

#include "repo/draft.h"
#include "router/request.h"

/* Handlers, by file; module.c has their addresses. */
route_handler health, metrics, agent_harnesses, telemetry, landing;                       /* service.c */
route_handler whoami;                                                                      /* whoami.c */
route_handler repos_create, repos_delete, repos_move, repos_settings, repos_mine, repos_of_org,
    repos_auth_check;                                                                      /* repos.c */
route_handler info_get, info_get_revision;                                                 /* info.c */
route_handler list_repos;                                                                  /* list.c */
route_handler tree_get, paths_info;                                                        /* tree.c */
route_handler refs_get, commits_get, branch_create, branch_delete, tag_add, tag_delete, super_squash; /* refs.c */
route_handler preupload;                                                                   /* preupload.c */
route_handler lfs_batch, lfs_verify, lfs_locks, transfer_put, transfer_part, transfer_complete,
    transfer_get, transfer_signed;                                                         /* lfs.c */
route_handler commit_post;                                                                 /* commit.c */
route_handler resolve_get, raw_get;                                                        /* resolve.c */
route_handler validate_yaml;                                                               /* card.c */

/* What these files share. */

/* The kind named by a {kind} parameter, or by the type member of a body ("model" when absent). */
enum status kind_of(struct str name, enum repo_kind *out, struct error *err);

/* "https://hub/datasets/ns/name" */
struct str repo_url(struct request *rq, enum repo_kind kind, struct str full_name);

/* The revision in params[index], resolved. */
enum status request_revision(struct request *rq, size_t index, struct revision *out, struct error *err);

/* The person's name on commits and tags. The address is never the person's own: commits outlive consent. */
struct signature request_signature(struct request *rq);

#endif
