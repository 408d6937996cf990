/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_BOM_BOM_H
#define CAIRN_BOM_BOM_H

#include "router/request.h"

/*
 * Bills of material: what a revision holds and what it was made from, in the words of CycloneDX 1.6 and SPDX 3.0.1
 * (provenance 3.5). Everything in one comes from what is logged, or from the revision's own card; the time is the commit's.
 * So the same facts give the same bytes, whoever asks: a bill names parents as card and statements name them, and never
 * says which repos of the hub they are. It changes when something is added to the facts, as by a newly signed parent.
 *
 * The hub signs bills by its attestation key, as in-toto statements: it says what it has, and what others said. Somebody who
 * may write to the repo can have one put into the log ("bom": its format and SHA-256; the signed envelope is evidence).
 */
extern const struct module bom_module;

#endif
