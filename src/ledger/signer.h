/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LEDGER_SIGNER_H
#define CAIRN_LEDGER_SIGNER_H

/*
 * The process that alone has the log's private key (provenance 0, rule 2). It remembers durably what it signed last,
 * and signs only what it has itself seen proved to continue that, so that whoever is in control of the rest of the hub
 * still cannot make it sign a second history.
 *
 * `cairn signer FOLDER`, argv from "signer" on; started by ledger_open(), with a socket of type SOCK_SEQPACKET as its
 * standard input. It ends when the other side closes the socket; it returns, with an exit status, only
 * when it was called wrongly.
 *
 * A packet is a message; the other side asks, and gets one answer a question. Numbers are big-endian.
 *
 *   'O' origin                        once and first: opens the log of that origin; makes key and record for a new one,
 *                                     which is one that has no entries file yet
 *     'Y' size (8) root (32) vkey     the tree that it signed last, and the line of its public key
 *   'S' count (1) hash (32) … text    signs the text of a checkpoint, given the proof that it continues the last one
 *     'Y' line                        the signature line, after size and root have been written down for good
 *     'N' status (1) sentence         to either: refused, and why; it then ends
 */
int signer_main(int argc, char **argv);

#endif
