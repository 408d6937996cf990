/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "routes.h"
#include "module.h"
#include <stdio.h>
#include <string.h>

static const char help[] = "cairn routes - what the hub answers to\n"
                           "\n"
                           "  cairn routes\n"
                           "      Prints one line for each route: method, pattern, and the action that the door is "
                           "asked for; then \"signed\"\n"
                           "      where the address carries its own authority, and \"body\" where the object of the "
                           "action stands in the body.\n"
                           "      A route of GET also answers HEAD.\n";

int routes_main(int argc, char **argv)
{
    bool wants_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc > 1) {
        fputs(help, wants_help ? stdout : stderr);
        return wants_help ? 0 : 2;
    }
    for (const struct module *const *module = modules; *module; module++)
        for (const struct route *route = (*module)->routes; route && route->pattern; route++)
            printf("%-6s %s %s%s%s\n", http_method_name(route->method), route->pattern, action_name(route->action),
                   route->signed_by ? " signed" : "", route->object_in_body ? " body" : "");
    return fflush(stdout) == 0 ? 0 : 1;
}
