/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_INTERNAL_H
#define CAIRN_ATTEST_INTERNAL_H

#include "router/request.h"

/* Handlers, file by file; module.c has their addresses. */
/* hub_key.c */ route_handler attestation_key_get;
/* oms.c */ route_handler oms_statement_get, oms_post, oms_list, oms_bundle_get;
extern const char oms_create_sql[];

#endif
