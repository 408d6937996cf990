/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access_main.h"
#include "admin.h"
#include "attest_main.h"
#include "care.h"
#include "du.h"
#include "federate_main.h"
#include "gc.h"
#include "house_main.h"
#include "ledger/signer.h"
#include "machines.h"
#include "routes.h"
#include "scan/worker.h"
#include "serve.h"
#include "sign_main.h"
#include "usage_main.h"
#include "verify_main.h"
#include <stdio.h>
#include <string.h>

static const char help[] = "cairn " CAIRN_VERSION " - a self-hosted hub for open AI models\n"
                           "\n"
                           "  cairn serve    run the hub\n"
                           "  cairn admin    people, organisations and tokens\n"
                           "  cairn sign     sign a model with your own key\n"
                           "  cairn verify   check a model against the log and signatures\n"
                           "  cairn fsck     check everything that is kept\n"
                           "  cairn backup   copy everything that is kept\n"
                           "  cairn gc       remove what nobody needs any more\n"
                           "  cairn du       how much room a repo takes\n"
                           "  cairn attest   sign approvals, releases and deployments\n"
                           "  cairn usage    what you have at a hub, and what you use of it\n"
                           "  cairn access   ask for access to a gated repo\n"
                           "  cairn federate train a model where the data are\n"
                           "  cairn house    be the second house of federated training\n"
                           "  cairn routes   list what the hub answers to\n"
                           "  cairn machines the rules by which requests and grants change their state\n"
                           "\n"
                           "cairn COMMAND --help tells more about each.\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"serve", serve_main},
    {"admin", admin_main},
    {"fsck", fsck_main},
    {"backup", backup_main},
    {"gc", gc_main},
    {"du", du_main},
    {"routes", routes_main},
    {"machines", machines_main},
    {"worker", worker_main}, /* started by the server, in a sandbox */
    {"sign", sign_main},
    {"verify", verify_main},
    {"attest", attest_main},
    {"access", access_main},
    {"federate", federate_main},
    {"house", house_main},
    {"usage", usage_main},
    {"signer", signer_main}, /* started by the server; it alone has the key of the log */
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("cairn " CAIRN_VERSION);
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "cairn: \"%s\" is not a command (see cairn --help)\n", argv[1]);
    return 2;
}
