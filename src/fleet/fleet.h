/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FLEET_FLEET_H
#define CAIRN_FLEET_FLEET_H

#include "module.h"

/*
 * Flower's Fleet API over HTTP: unmodified Flower clients take part in the federated training of a repo (federated section 4, level 3;
 * docs/flower.md). What they get and send is messages of protocol buffers; what becomes of an update is the federate part's business,
 * the same as for our own clients. Mode plain only: in the others the hub never sees an update.
 *
 * These clients can be told nothing but an address. So the repo and the key stand in its user part, ns%2Fname:KEY@host:port, which
 * they send as HTTP's basic authentication.
 */
extern const struct module fleet_module;

#endif
