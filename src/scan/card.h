/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_CARD_H
#define CAIRN_SCAN_CARD_H

#include "base/json.h"

/*
 * The card of a repo: the YAML metadata between the first two lines "---" of its README.md. People write it, so it is
 * hostile input; what comes out is plain JSON within the limits below, and nothing in it points into the README.
 *
 * Scalars are read by YAML's core schema, as the field's tools do: null, true and false, decimal, 0x and 0o numbers,
 * floats; everything else (dates, "no", .inf, whatever stands in quotes) is a string. Keys become strings as they are
 * written and keep their order. "<<" is a key like any other.
 */
#define CARD_YAML_LIMIT (1 << 20) /* bytes of the YAML block */
#define CARD_DEPTH_LIMIT 32       /* levels of lists and mappings */
#define CARD_NODES_LIMIT 100000   /* keys and values in all: a card that lists hundreds of configurations has 15,000 */
#define CARD_COPIED_LIMIT 10000   /* of these, as copies that aliases stand for */
#define CARD_TEXT_LIMIT (4 << 20) /* bytes of all keys and strings, copies included */

/*
 * Finds the YAML block: after a byte order mark and blank lines, the lines between "---" and the next "---". False when
 * the README does not start with a finished block; it then has no metadata. line may be NULL; it gets the number, from
 * 1, of the block's first line.
 */
bool card_find(struct str readme, struct str *yaml, int *line);

/*
 * Reads the block as a JSON object; an empty one when there is no block (ask card_find() for the difference) or nothing
 * in it. Release *out with json_decref; it is NULL on failure.
 *
 * Errors: INVALID for bad YAML, a key given twice, an alias without its anchor, unknown tags, metadata that is no
 * mapping; TOO_LARGE beyond the limits above. The message names line and column in the README.
 */
enum status card_read(struct str readme, json_t **out, struct error *err);

struct card_findings {
    struct str *messages; /* in the arena */
    size_t count;
};

struct card_report {
    struct card_findings errors, warnings;
};

/*
 * What is wrong with a card, for POST /api/validate-yaml (hub-protocol 1.6). kind is "model", "dataset" or "space".
 * A card with errors must not be committed; one with warnings may.
 */
void card_validate(struct arena *arena, struct str readme, struct str kind, struct card_report *report);

/*
 * The tags that a card gives to its repo (hub-protocol 1.4), each once, in the order of the fields: add is called with
 * a tag that it must copy. card is what card_read() made of readme; the arXiv numbers come from the README's whole
 * text. Values of the wrong type and tags over 256 bytes are left out. A model's pipeline is its member "pipeline_tag".
 */
void card_tags(const json_t *card, struct str readme, struct str kind, void (*add)(void *context, struct str tag),
               void *context);

#endif
