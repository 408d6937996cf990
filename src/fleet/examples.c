/* SPDX-License-Identifier: GPL-3.0-or-later */
/* With how many examples a client says that it has trained. */
#include "fleet/internal.h"
#include <math.h>

/* MetricRecordValue: a double in 1, whole numbers in 2 (zigzag) and 3. */
static int64_t whole(const struct proto_field *field)
{
    double number;
    memcpy(&number, &field->value, sizeof number);
    if (field->number == 1 && field->wire == PROTO_64 && number >= 1 && number <= EXAMPLES_MOST &&
        floor(number) == number)
        return (int64_t)number;
    if (field->number == 2 && field->wire == PROTO_VARINT)
        return proto_signed(field->value);
    return field->number == 3 && field->wire == PROTO_VARINT && field->value <= EXAMPLES_MOST ? (int64_t)field->value
                                                                                              : 0;
}

/* An entry { key, value } of a record. In one go: of what arrives nothing can be read again. */
static enum status read_metric(struct proto item, struct arena *arena, int64_t *out, struct error *err)
{
    struct proto_field field, number;
    struct proto value;
    struct str key = STR("");
    int64_t found_number = 0;
    for (bool found;;) {
        TRY(proto_next(&item, &field, &found, err));
        if (!found)
            break;
        if (field.number == 1)
            TRY(proto_text(&item, &field, 4096, arena, &key, err));
        if (field.number != 2)
            continue;
        TRY(proto_inside(&item, &field, &value, err));
        TRY(proto_next(&value, &number, &found, err));
        found_number = found ? whole(&number) : 0;
    }
    if (str_eq(key, STR("num-examples")) || str_eq(key, STR("num_examples")))
        *out = found_number;
    return OK;
}

enum status sent_examples(const struct proto *record, struct arena *arena, int64_t *out, struct error *err)
{
    struct proto items = *record, item;
    struct proto_field field;
    for (bool found;;) {
        TRY(proto_next(&items, &field, &found, err));
        if (!found)
            return OK;
        if (field.number != 1)
            continue;
        TRY(proto_inside(&items, &field, &item, err));
        TRY(read_metric(item, arena, out, err));
    }
}
