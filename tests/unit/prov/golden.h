/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each kind of event is logged as, to the byte: made with Python's hmac and json, not with what is tested. */
/* clang-format off */
static const struct golden {
    const char *name, *kind, *body, *leaf;
} golden[] = {
    {"making a repo", "repo.create",
     "{\"kind\": \"model\", \"name\": \"flora/fern\", \"owner\": 9, \"visibility\": \"private\", \"ref\": \"refs/heads/main"
     "\", \"new\": \"dddddddddddddddddddddddddddddddddddddddd\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"kind\":\"model\",\"op\":\"create\","
     "\"visibility\":\"private\"},\"com\":{\"name\":\"67ed6bd9bcf48a629c369fd7161dccb27e3de4b56c3cfd631ca8742ac9fe1"
     "1b2\",\"ref\":\"af72cedc18690ed99df5469b75d981f9e9419d6f1d212befb91838a8876d5337\"},\"repo\":\"0011223344556"
     "6778899aabbccddeeff\",\"rprev\":\"abababababababababababababababababababababababababababababababab\",\"rse"
     "q\":3,\"subj\":[{\"alg\":\"gitCommit\",\"d\":\"dddddddddddddddddddddddddddddddddddddddd\"}],\"ts\":\"2023-11-14T22"
     ":13:20Z\",\"type\":\"repo\",\"v\":1}"},
    {"deleting a repo", "repo.delete",
     "{\"kind\": \"dataset\", \"name\": \"flora/fern\", \"public_id\": \"0123456789abcdef01234567\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"kind\":\"dataset\",\"op\":\"delete"
     "\"},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"ababababababababababababababababababababababab"
     "ababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}"},
    {"renaming a repo", "repo.move",
     "{\"kind\": \"space\", \"from\": \"flora/fern\", \"to\": \"Flora/moss\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"kind\":\"space\",\"op\":\"rename\"}"
     ",\"com\":{\"name\":\"6a6f002d880ada6bb4fe3f2843ec2a273ce5e42c2b23612d0924ecff6e45c5cf\"},\"repo\":\"001122334"
     "45566778899aabbccddeeff\",\"rprev\":\"abababababababababababababababababababababababababababababababab\","
     "\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}"},
    {"giving a repo away", "repo.move",
     "{\"kind\": \"model\", \"from\": \"flora/fern\", \"to\": \"fauna/fern\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"kind\":\"model\",\"op\":\"transfer"
     "\"},\"com\":{\"name\":\"4abe110629934f1cd9d15efad7787737d2bc0f26ee848fe299bdcee1f5c78441\"},\"repo\":\"0011223"
     "3445566778899aabbccddeeff\",\"rprev\":\"abababababababababababababababababababababababababababababababab"
     "\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}"},
    {"changing who sees a repo", "repo.settings",
     "{\"visibility\": \"public\", \"gated\": \"manual\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"gated\":\"manual\",\"op\":\"visibi"
     "lity\",\"visibility\":\"public\"},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"abababababababababab"
     "abababababababababababababababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\""
     ":1}"},
    {"changing settings", "repo.settings",
     "{\"gated\": \"\", \"xetEnabled\": false}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"gated\":\"none\",\"op\":\"settings"
     "\",\"xet\":false},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"ababababababababababababababababab"
     "ababababababababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}"},
    {"archiving", "repo.settings",
     "{\"archived\": true}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"archived\":true,\"op\":\"settings"
     "\"},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"ababababababababababababababababab"
     "ababababababababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo\",\"v\":1}"},
    {"a commit", "commit",
     "{\"ref\": \"refs/heads/main\", \"old\": \"cccccccccccccccccccccccccccccccccccccccc\", \"new\": \"dddddddddddddd"
     "dddddddddddddddddddddddddd\", \"added\": 2, \"changed\": 1, \"removed\": 4}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"files\":7,\"new\":\"dddddddddddd"
     "dddddddddddddddddddddddddddd\",\"old\":\"cccccccccccccccccccccccccccccccccccccccc\",\"op\":\"api\",\"protected"
     "\":false},\"com\":{\"ref\":\"af72cedc18690ed99df5469b75d981f9e9419d6f1d212befb91838a8876d5337\"},\"repo\":\"00"
     "112233445566778899aabbccddeeff\",\"rprev\":\"abababababababababababababababababababababababababababababa"
     "babab\",\"rseq\":3,\"subj\":[{\"alg\":\"gitCommit\",\"d\":\"dddddddddddddddddddddddddddddddddddddddd\"}],\"ts\":\"20"
     "23-11-14T22:13:20Z\",\"type\":\"commit\",\"v\":1}"},
    {"a squash", "commit",
     "{\"ref\": \"refs/heads/main\", \"old\": \"cccccccccccccccccccccccccccccccccccccccc\", \"new\": \"dddddddddddddd"
     "dddddddddddddddddddddddddd\", \"added\": 2, \"changed\": 0, \"removed\": 0, \"squash\": true}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"files\":2,\"force\":true,\"new\":"
     "\"dddddddddddddddddddddddddddddddddddddddd\",\"old\":\"cccccccccccccccccccccccccccccccccccccccc\",\"op\":\"sq"
     "uash\",\"protected\":false},\"com\":{\"ref\":\"af72cedc18690ed99df5469b75d981f9e9419d6f1d212befb91838a8876d5"
     "337\"},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"abababababababababababababababababababababa"
     "babababababababababab\",\"rseq\":3,\"subj\":[{\"alg\":\"gitCommit\",\"d\":\"dddddddddddddddddddddddddddddddddddd"
     "dddd\"}],\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"commit\",\"v\":1}"},
    {"a new ref", "ref.create",
     "{\"ref\": \"refs/tags/v1\", \"old\": null, \"new\": \"dddddddddddddddddddddddddddddddddddddddd\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"force\":false,\"new\":\"dddddddd"
     "dddddddddddddddddddddddddddddddd\",\"op\":\"create\",\"protected\":false},\"com\":{\"ref\":\"17edaa84e7d9cb7a993"
     "ba1a5d2764f64027d10ecfae591198d03c91c090f30da\"},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"a"
     "bababababababababababababababababababababababababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z"
     "\",\"type\":\"commit\",\"v\":1}"},
    {"a ref that is overwritten", "ref.create",
     "{\"ref\": \"refs/tags/v1\", \"old\": \"cccccccccccccccccccccccccccccccccccccccc\", \"new\": \"ddddddddddddddddd"
     "ddddddddddddddddddddddd\"}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"force\":true,\"new\":\"ddddddddd"
     "ddddddddddddddddddddddddddddddd\",\"old\":\"cccccccccccccccccccccccccccccccccccccccc\",\"op\":\"create\",\"pro"
     "tected\":false},\"com\":{\"ref\":\"17edaa84e7d9cb7a993ba1a5d2764f64027d10ecfae591198d03c91c090f30da\"},\"rep"
     "o\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"ababababababababababababababababababababababababababa"
     "bababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"commit\",\"v\":1}"},
    {"a ref that is deleted", "ref.delete",
     "{\"ref\": \"refs/tags/v1\", \"old\": \"cccccccccccccccccccccccccccccccccccccccc\", \"new\": null}",
     "{\"actor\":\"d6c77f91ef894fa5897314f41a77668a\",\"auth\":\"hub-asserted\",\"b\":{\"old\":\"cccccccccccccccccccccc"
     "cccccccccccccccccc\",\"op\":\"delete\",\"protected\":false},\"com\":{\"ref\":\"17edaa84e7d9cb7a993ba1a5d2764f640"
     "27d10ecfae591198d03c91c090f30da\"},\"repo\":\"00112233445566778899aabbccddeeff\",\"rprev\":\"abababababababa"
     "babababababababababababababababababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"comm"
     "it\",\"v\":1}"},
    {"a new token", "key.create",
     "{\"key\": 4, \"public_id\": \"0123456789\", \"name\": \"laptop of Ann\", \"role\": \"write\", \"user\": 9, \"user_nam"
     "e\": \"ann\"}",
     "{\"actor\":\"dfcb9eb62c19b93623ae65ee114c6235\",\"auth\":\"hub-asserted\",\"b\":{\"digest\":\"a46435c784e5f6db455"
     "4f046896652c8153181083c6bed16658b06789d216013\",\"op\":\"add\",\"use\":\"user\"},\"ts\":\"2023-11-14T22:13:20Z\","
     "\"type\":\"key\",\"v\":1}"},
    {"a token that is revoked", "key.revoke",
     "{\"key\": 4, \"public_id\": \"0123456789\", \"name\": \"laptop of Ann\", \"user\": 9, \"user_name\": \"ann\"}",
     "{\"actor\":\"dfcb9eb62c19b93623ae65ee114c6235\",\"auth\":\"hub-asserted\",\"b\":{\"digest\":\"a46435c784e5f6db455"
     "4f046896652c8153181083c6bed16658b06789d216013\",\"op\":\"revoke\",\"use\":\"user\"},\"ts\":\"2023-11-14T22:13:20"
     "Z\",\"type\":\"key\",\"v\":1}"},
    {"the heads", "log.heads",
     "{\"count\": 3, \"covers\": 77, \"root\": \"efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef"
     "\"}",
     "{\"actor\":\"hub\",\"auth\":\"hub-asserted\",\"b\":{\"count\":3,\"covers\":77,\"root\":\"efefefefefefefefefefefefefef"
     "efefefefefefefefefefefefefefefefefef\"},\"ts\":\"2023-11-14T22:13:20Z\",\"type\":\"repo-heads\",\"v\":1}"},
    {"an epoch", "log.epoch",
     "{\"build\": \"0101010101010101010101010101010101010101010101010101010101010101\", \"checkpoint\": \"0202020"
     "202020202020202020202020202020202020202020202020202020202\", \"config\": null, \"policy\": \"0404040404040"
     "404040404040404040404040404040404040404040404040404\"}",
     "{\"actor\":\"hub\",\"auth\":\"hub-asserted\",\"b\":{\"build\":\"0101010101010101010101010101010101010101010101010"
     "101010101010101\",\"checkpoint\":\"0202020202020202020202020202020202020202020202020202020202020202\",\"po"
     "licy\":\"0404040404040404040404040404040404040404040404040404040404040404\"},\"ts\":\"2023-11-14T22:13:20Z"
     "\",\"type\":\"epoch\",\"v\":1}"},
};
/* clang-format on */
static const char golden_void[] =
    "{\"actor\":\"hub\",\"auth\":\"hub-asserted\",\"b\":{\"index\":41},\"repo\":\"00112233445566778899aabbccddeeff\","
    "\"rpr"
    "ev\":\"abababababababababababababababababababababababababababababababab\",\"rseq\":3,\"ts\":\"2023-11-14T22:"
    "13:20Z\",\"type\":\"void\",\"v\":1}";
