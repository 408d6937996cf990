/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machines.h"
#include "module.h"
#include <stdio.h>
#include <string.h>

static const char help[] =
    "cairn machines - the rules by which requests, grants and the rest change their state\n"
    "\n"
    "  cairn machines\n"
    "      Prints every state machine of the hub as Markdown: its states, and who may cause what, "
    "when, with what\n"
    "      effect. It is printed from the tables that the hub runs on; docs/machines.md is a copy.\n";

int machines_main(int argc, char **argv)
{
    bool wants_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    auto_buf struct buf out = {0};
    if (argc > 1) {
        fputs(help, wants_help ? stdout : stderr);
        return wants_help ? 0 : 2;
    }
    buf_printf(&out, "# Machines\n\nPrinted by `cairn machines`. The first row that fits counts.\n\n");
    for (const struct module *const *module = modules; *module; module++)
        for (const struct machine *const *machine = (*module)->machines; machine && *machine; machine++)
            machine_print(*machine, &out);
    while (out.len > 1 && out.data[out.len - 2] == '\n')
        out.len--;
    fwrite(out.data, 1, out.len, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
