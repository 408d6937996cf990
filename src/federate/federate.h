/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_FEDERATE_H
#define CAIRN_FEDERATE_FEDERATE_H

#include "module.h"

/*
 * Federated training: participants train a repo's model where their data are, and send what came out; the hub makes one
 * model of it, round after round, and each round is a commit on main with its record and a leaf in the log
 * (federated 2.3). Mode "plain": the hub sees each update.
 *
 * A run is a row; what participants send is in files of the data folder until their round has been committed. Whoever
 * may read the repo's bytes may take part (ACT_TAKE_PART), so a gate says who.
 */
extern const struct module federate_module;
struct federate;

/* Opens dir/federate, where what participants send is kept. */
enum status federate_open(const char *dir, struct federate **out, struct error *err);
void federate_close(struct federate *federate); /* nothing when it is NULL */

#endif
