/* gpu/: CDI names, files, precedence, and what the edits of several devices come to. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu/cdi_edits.h"
#include "util/io.h"
#include "util/path.h"
#include "util/strbuf.h"
#include "util/yaml_json.h"

static char scratch[] = "/tmp/enroot-test-cdi-XXXXXX";

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        return mkdtemp(scratch) && chdir(scratch) == 0 && mkdir("first", 0755) == 0 &&
                               mkdir("second", 0755) == 0 && mkdir("root", 0755) == 0
                       ? 0
                       : -1;
}

static int tear_down(void **state)
{
        struct error err;

        (void)state;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *path, const char *text)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

/* ---- names ---- */

static void test_names(void **state)
{
        static const struct {
                const char *name;
                bool valid;
        } cases[] = {
                { "nvidia.com/gpu=0", true },
                { "nvidia.com/gpu=all", true },
                { "nvidia.com/gpu=GPU-8dcd427f-483b-b48f-d7e5-75fb19a52b76", true },
                { "nvidia.com/mig=0:1", true },
                { "v/c=d", true },
                { "Vendor_1.x-y/cl.a_s-s=1.a_b-c:d", true },
                { "", false },
                { "=", false },
                { "/=", false },
                { "gpu", false },
                { "nvidia.com/gpu", false },
                { "nvidia.com/gpu=", false },
                { "nvidia.com=0", false },
                { "/gpu=0", false },
                { "nvidia.com/=0", false },
                { "1nvidia/gpu=0", false },
                { "nvidia/1gpu=0", false },
                { "nvidia./gpu=0", false },
                { "nvidia/gpu-=0", false },
                { "nvidia/gpu=-0", false },
                { "nvidia/gpu=0:", false },
                { "nvidia/g:u=0", false },
                { "nvidia/gpu=a=b", false },
                { "nvidia/gpu/x=0", false },
                { "nvidia/gpu=a/b", false },
                { "nvidia/gpu=a b", false },
                { "nvidi\xc3\xa4/gpu=0", false },
                { "../x/gpu=0", false },
                { "GPU-8dcd427f", false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t length;
                const char *device;

                if (cdi_name_split(cases[i].name, &length, &device) != cases[i].valid)
                        fail_msg("%s", cases[i].name);
        }
}

static void test_long_names(void **state)
{
        char name[CDI_NAME_LIMIT + 8];
        const char *device;
        size_t length;

        (void)state;
        memcpy(name, "v/c=", 4);
        memset(name + 4, 'a', CDI_NAME_LIMIT);
        name[4 + CDI_NAME_LIMIT] = '\0';
        assert_true(cdi_name_split(name, &length, &device));
        assert_int_equal(length, 3);
        assert_ptr_equal(device, name + 4);
        strcat(name, "a");
        assert_false(cdi_name_split(name, &length, &device));
}

/* ---- YAML ---- */

static void test_yaml(void **state)
{
        static const struct {
                const char *yaml, *json; /* NULL: refused */
        } cases[] = {
                { "a: 1\n", "{\"a\":\"1\"}" },
                { "a: null\nb: ~\nc:\nd: \"null\"\n",
                  "{\"a\":null,\"b\":null,\"c\":null,\"d\":\"null\"}" },
                { "---\na: [x, 'y', \"z\\n\"]\n...\n", "{\"a\":[\"x\",\"y\",\"z\\n\"]}" },
                { "a:\n- b: c\n  d: e\n", "{\"a\":[{\"b\":\"c\",\"d\":\"e\"}]}" },
                { "a: &x {b: c}\nd: *x\n", "{\"a\":{\"b\":\"c\"},\"d\":{\"b\":\"c\"}}" },
                { "a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}" },
                { "{\"a\": {\"b\": []}}", "{\"a\":{\"b\":[]}}" },
                { "", NULL },
                { "# nothing\n", NULL },
                { "a: b\n---\nc: d\n", NULL },
                { "a: [\n", NULL },
                { "a: *nowhere\n", NULL },
                { "a: &x [*x]\n", NULL },
                { "? [a, b]\n: c\n", NULL },
                { "a: \"b\\0c\"\n", NULL },
                { "a: \xff\xfe\n", NULL },
                { "\tx: y\n", NULL },
                { "[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf json = STRBUF_INIT;
                auto_json_node struct json_node *node = NULL;
                auto_free char *flat = NULL;
                struct error err = ERROR_INIT;
                int result = yaml_to_json(cases[i].yaml, strlen(cases[i].yaml), &json, &err);

                if ((result == 0) != (cases[i].json != NULL))
                        fail_msg("%s: %s", cases[i].yaml, err.message);
                if (result < 0) {
                        assert_int_equal(err.code, EBADMSG);
                        continue;
                }
                node = json_node_parse(strbuf_text(&json), json.length, &err);
                assert_non_null(node);
                flat = json_node_print(node);
                assert_string_equal(flat, cases[i].json);
        }
}

/* Aliases of aliases: a few lines that stand for a billion values. */
static void test_yaml_bomb(void **state)
{
        auto_strbuf struct strbuf yaml = STRBUF_INIT, json = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        strbuf_append(&yaml, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (int i = 1; i < 10; i++) {
                strbuf_printf(&yaml, "a%d: &a%d [", i, i);
                for (int j = 0; j < 10; j++)
                        strbuf_printf(&yaml, "*a%d%s", i - 1, j < 9 ? ", " : "]\n");
        }
        assert_int_equal(yaml_to_json(yaml.data, yaml.length, &json, &err), -1);
        assert_int_equal(err.code, EBADMSG);
        assert_true(json.length < YAML_TEXT_LIMIT + 65536);
}

/* ---- files ---- */

#define HEAD "{\"cdiVersion\":\"0.5.0\",\"kind\":\"acme.com/gpu\","
#define DEVICE(edits) HEAD "\"devices\":[{\"name\":\"0\",\"containerEdits\":{" edits "}}]}"

static void test_bad_files(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                { "", "not valid JSON" },
                { "[]", "not a JSON object" },
                { "{}", "no \"cdiVersion\"" },
                { "{\"cdiVersion\":\"0.2.0\",\"kind\":\"a/b\"}", "none of 0.3.0 to 1.1.0" },
                { "{\"cdiVersion\":\"1.2.0\",\"kind\":\"a/b\"}", "none of 0.3.0 to 1.1.0" },
                { "{\"cdiVersion\":5,\"kind\":\"a/b\"}", "\"cdiVersion\" is not a string" },
                { "{\"cdiVersion\":\"0.5.0\"}", "no \"kind\"" },
                { "{\"cdiVersion\":\"0.5.0\",\"kind\":\"acme\"}", "not VENDOR/CLASS" },
                { HEAD "\"devices\":[]}", "no \"devices\"" },
                { HEAD "\"devices\":{}}", "\"devices\" is not an array" },
                { HEAD "\"devices\":[5]}", "devices[0]: not an object" },
                { HEAD "\"device\":[]}", "unknown member \"device\"" },
                { HEAD "\"devices\":[{\"name\":\"0\"}]}", "the device 0 has no edits" },
                { HEAD "\"devices\":[{\"name\":\"-\"}]}", "not a device's name" },
                { HEAD "\"devices\":[{\"containerEdits\":{}}]}", "no \"name\"" },
                { DEVICE("\"env\":[\"A\"]"), "no NAME=VALUE: A" },
                { DEVICE("\"env\":[\"=A\"]"), "no NAME=VALUE" },
                { DEVICE("\"env\":[7]"), "not a string" },
                { DEVICE("\"envs\":[\"A=B\"]"), "unknown member \"envs\"" },
                { DEVICE("\"deviceNodes\":[{}]"), "deviceNodes[0]: no \"path\"" },
                { DEVICE("\"deviceNodes\":[{\"path\":\"dev/x\"}]"), "not absolute" },
                { DEVICE("\"deviceNodes\":[{\"path\":\"/dev/x\",\"hostPath\":\"x\"}]"),
                  "not absolute" },
                { DEVICE("\"deviceNodes\":[{\"path\":\"/dev/x\",\"type\":\"z\"}]"), "\"type\"" },
                { DEVICE("\"deviceNodes\":[{\"path\":\"/dev/x\",\"permissions\":\"rx\"}]"),
                  "\"permissions\"" },
                { DEVICE("\"mounts\":[{\"hostPath\":\"/a\"}]"), "no \"containerPath\"" },
                { DEVICE("\"mounts\":[{\"hostPath\":\"a\",\"containerPath\":\"/b\"}]"),
                  "not absolute" },
                { DEVICE("\"mounts\":[{\"hostPath\":\"/a\",\"containerPath\":\"b\"}]"),
                  "not absolute" },
                { DEVICE("\"hooks\":[{\"hookName\":\"later\",\"path\":\"/x\"}]"),
                  "unknown \"hookName\" later" },
                { DEVICE("\"hooks\":[{\"hookName\":\"prestart\",\"path\":\"/x\",\"timeout\":-1}]"),
                  "not a number" },
                { DEVICE("\"additionalGids\":[\"x\"]"), "not a number" },
                { HEAD "\"devices\":[{\"name\":\"0\",\"containerEdits\":{\"env\":[\"A=B\"]}},"
                       "{\"name\":\"0\",\"containerEdits\":{\"env\":[\"A=B\"]}}]}",
                  "two devices named 0" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_cdi_spec struct cdi_spec spec = { .path = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(cdi_spec_parse(cases[i].text, strlen(cases[i].text), CDI_JSON,
                                                &spec, &err),
                                 -1);
                assert_int_equal(err.code, EBADMSG);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("%s: %s", cases[i].text, err.message);
        }
}

static void test_versions(void **state)
{
        static const char *const versions[] = { "0.3.0", "0.4.0", "0.5.0", "0.6.0",  "0.7.0",
                                                "0.8.0", "1.0.0", "1.1.0", "v0.5.0" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
                auto_cdi_spec struct cdi_spec spec = { .path = NULL };
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;

                strbuf_printf(&text,
                              "cdiVersion: %s\nkind: a/b\ndevices:\n- name: 0\n"
                              "  containerEdits:\n    env: [A=B]\n",
                              versions[i]);
                assert_int_equal(
                        cdi_spec_parse(text.data, text.length, CDI_YAML, &spec, &err), 0);
                assert_string_equal(spec.devices[0].name, "0");
        }
}

/* Every member of the format, in both notations. */
static void test_members(void **state)
{
        static const char yaml[] =
                "cdiVersion: 1.1.0\n"
                "kind: acme.com/gpu\n"
                "annotations: {a: b}\n"
                "devices:\n"
                "- name: 7\n"
                "  annotations: {c: d}\n"
                "  containerEdits:\n"
                "    env: [\"A=B=C\"]\n"
                "    deviceNodes:\n"
                "    - {path: /dev/x, hostPath: /dev/y, type: c, major: 1, minor: 3,\n"
                "       fileMode: 0666, permissions: rw, uid: 0, gid: 44}\n"
                "    - path: /dev/z\n"
                "    mounts:\n"
                "    - {hostPath: /a, containerPath: /b, type: bind, options: [ro, rbind]}\n"
                "    - {hostPath: tmpfs, containerPath: /t, type: tmpfs}\n"
                "    hooks:\n"
                "    - {hookName: createContainer, path: /h, args: [h, x], env: [P=Q],\n"
                "       timeout: 10}\n"
                "    additionalGids: [44, 109]\n"
                "    netDevices: [{hostInterfaceName: eth0, name: eth1}]\n"
                "    intelRdt: {closID: x}\n";
        auto_cdi_spec struct cdi_spec spec = { .path = NULL };
        auto_strbuf struct strbuf json = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(yaml_to_json(yaml, strlen(yaml), &json, &err), 0);
        for (int i = 0; i < 2; i++) {
                const struct cdi_edits *edits;

                cdi_spec_release(&spec);
                if (cdi_spec_parse(i ? json.data : yaml, i ? json.length : strlen(yaml),
                                   i ? CDI_JSON : CDI_YAML, &spec, &err) < 0)
                        fail_msg("%s", err.message);
                assert_string_equal(spec.kind, "acme.com/gpu");
                assert_int_equal(spec.device_count, 1);
                edits = &spec.devices[0].edits;
                assert_int_equal(edits->node_count, 2);
                assert_string_equal(edits->nodes[0].source, "/dev/y");
                assert_string_equal(edits->nodes[1].source, "/dev/z");
                assert_int_equal(edits->mount_count, 2);
                assert_null(edits->mounts[0].type);
                assert_string_equal(edits->mounts[1].type, "tmpfs");
                assert_int_equal(edits->hooks[0].timeout, 10);
                assert_int_equal(edits->gid_count, 2);
                assert_int_equal(edits->gids[1], 109);
                assert_true(edits->net_devices && edits->rdt);
        }
}

/* ---- which file counts ---- */

#define SPEC(device, value)                                                                        \
        "{\"cdiVersion\":\"0.5.0\",\"kind\":\"acme.com/gpu\",\"devices\":[{\"name\":\"" device     \
        "\",\"containerEdits\":{\"env\":[\"FROM=" value "\"]}}]}"

static void read_both(struct cdi_registry *registry)
{
        struct error err = ERROR_INIT;

        cdi_registry_release(registry);
        assert_int_equal(cdi_registry_read(registry, "first", 0, &err), 0);
        assert_int_equal(cdi_registry_read(registry, "second", 1, &err), 0);
        assert_int_equal(cdi_registry_read(registry, "nosuch", 2, &err), 0);
}

static void test_precedence_and_conflicts(void **state)
{
        auto_cdi_registry struct cdi_registry registry = CDI_REGISTRY_INIT;
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_free struct cdi_match *matches = NULL;
        struct error err = ERROR_INIT;
        struct cdi_match match;

        (void)state;
        write_file("first/a.json", SPEC("0", "first"));
        write_file("first/not-a-spec.txt", "{");
        read_both(&registry);
        assert_true(cdi_registry_find(&registry, "acme.com/gpu=0", &match));
        assert_string_equal(match.spec->path, "first/a.json");
        assert_false(cdi_registry_find(&registry, "acme.com/gpu=1", &match));
        assert_false(cdi_registry_find(&registry, "acme.com/gp=0", &match));

        write_file("first/b.json", SPEC("0", "conflict"));
        read_both(&registry);
        assert_true(cdi_registry_find(&registry, "acme.com/gpu=0", &match));
        assert_non_null(match.conflict);
        assert_int_equal(strlist_append(&names, "acme.com/gpu=0"), 0);
        assert_int_equal(strlist_append(&names, "acme.com/gpu=9"), 0);
        assert_int_equal(cdi_registry_resolve(&registry, &names, &matches, &err), -1);
        assert_string_equal(err.message,
                            "unresolvable CDI devices acme.com/gpu=0 (both first/a.json and "
                            "first/b.json describe it: remove one), acme.com/gpu=9 (\"enroot "
                            "devices list\" shows what there is)");

        write_file("second/c.json", SPEC("0", "second"));
        write_file("second/broken.json", "{");
        read_both(&registry);
        assert_true(cdi_registry_find(&registry, "acme.com/gpu=0", &match));
        assert_null(match.conflict);
        assert_string_equal(match.spec->path, "second/c.json");
        assert_int_equal(registry.failures.count, 1);
        /* A file that is broken matters only to who asks for what is not found. */
        strlist_remove(&names, 1);
        assert_int_equal(cdi_registry_resolve(&registry, &names, &matches, &err), 0);
        assert_int_equal(strlist_append(&names, "acme.com/gpu=9"), 0);
        assert_int_equal(cdi_registry_resolve(&registry, &names, &matches, &err), -1);
        assert_non_null(strstr(err.message, "acme.com/gpu=9; second/broken.json: not valid JSON"));
}

/* ---- edits ---- */

static void print_injection(const struct gpu_injection *injection, struct strbuf *text)
{
        for (size_t i = 0; i < injection->mounts.count; i++) {
                (void)mount_entry_print(&injection->mounts.entries[i], text);
                strbuf_append_char(text, '\n');
        }
        for (size_t i = 0; i < injection->link_count; i++)
                strbuf_printf(text, "%s -> %s\n", injection->links[i].path,
                              injection->links[i].target);
        for (size_t i = 0; i < injection->environment.count; i++)
                strbuf_printf(text, "%s\n", injection->environment.items[i]);
        for (size_t i = 0; i < injection->warnings.count; i++)
                strbuf_printf(text, "! %s\n", injection->warnings.items[i]);
}

/* The plan of a list of devices of one file in YAML, or the error. */
static int plan_of(const char *yaml, const char *const *devices, struct strbuf *text,
                   struct error *err)
{
        auto_cdi_registry struct cdi_registry registry = CDI_REGISTRY_INIT;
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_free struct cdi_match *matches = NULL;
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        auto_close int root_fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const struct root_view view = root_view_directory(root_fd);
        const struct gpu_roots roots = { scratch, scratch, scratch, scratch, scratch };
        const struct gpu_request request = { .roots = &roots, .view = &view };

        write_file("first/plan.yaml", yaml);
        assert_int_equal(cdi_registry_read(&registry, "first", 0, err), 0);
        for (; *devices; devices++)
                assert_int_equal(strlist_append(&names, *devices), 0);
        if (cdi_registry_resolve(&registry, &names, &matches, err) < 0 ||
            cdi_edits_inject(&request, matches, names.count, &injection, err) < 0)
                return -1;
        print_injection(&injection, text);
        return 0;
}

/*
 * The file's edits once, then each device's; later ones replace earlier ones; mounts by
 * depth; hooks of NVIDIA become links, others a warning.
 */
static void test_merged_plan(void **state)
{
        static const char yaml[] =
                "cdiVersion: 0.6.0\n"
                "kind: acme.com/gpu\n"
                "containerEdits:\n"
                "  env: [A=file, B=file]\n"
                "  deviceNodes: [{path: /dev/null}, {path: /dev/x, hostPath: /dev/null}]\n"
                "  mounts:\n"
                "  - {hostPath: /etc/passwd, containerPath: /deep/er/file, options: [ro, nosuid]}\n"
                "  - {hostPath: /etc, containerPath: /top, options: [ro, rbind, rprivate]}\n"
                "  - {hostPath: tmpfs, containerPath: /deep/er, type: tmpfs, options: [size=1M]}\n"
                "  hooks:\n"
                "  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook,\n"
                "     args: [nvidia-cdi-hook, create-symlinks, --link, \"x.so.1::/l/x.so\",\n"
                "            \"--link=../y::/l/y\"]}\n"
                "  - {hookName: createContainer, path: /usr/bin/nvidia-ctk,\n"
                "     args: [nvidia-ctk, hook, chmod, --mode, \"755\", --path, /dev/dri]}\n"
                "  - {hookName: poststop, path: /opt/acme/hook}\n"
                "  - {hookName: createContainer, path: /x, args: [nvidia-cdi-hook, new-one]}\n"
                "devices:\n"
                "- name: one\n"
                "  containerEdits: {env: [A=one], additionalGids: [7]}\n"
                "- name: two\n"
                "  containerEdits:\n"
                "    env: [A=two, C=]\n"
                "    deviceNodes: [{path: /dev/x, hostPath: /dev/zero}]\n"
                "    mounts: [{hostPath: /usr, containerPath: /top}]\n"
                "    netDevices: [{hostInterfaceName: a, name: b}]\n";
        static const char *const devices[] = { "acme.com/gpu=one", "acme.com/gpu=two", NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        if (plan_of(yaml, devices, &text, &err) < 0)
                fail_msg("%s", err.message);
        assert_string_equal(
                text.data,
                "/dev/null /dev/null none bind,noexec,nosuid,private,x-create=file 0 0\n"
                "/dev/zero /dev/x none bind,noexec,nosuid,private,x-create=file 0 0\n"
                "/usr /top none rbind,x-create=auto 0 0\n"
                "tmpfs /deep/er tmpfs x-create=dir,size=1M 0 0\n"
                "/etc/passwd /deep/er/file none nosuid,rbind,ro,x-create=auto 0 0\n"
                "/l/x.so -> x.so.1\n"
                "/l/y -> ../y\n"
                "A=two\nB=file\nC=\n"
                "! first/plan.yaml: its network devices cannot be moved into the container\n"
                "! first/plan.yaml: the poststop hook /opt/acme/hook is not run\n"
                "! first/plan.yaml: the createContainer hook /x is not run (ENROOT_CDI_HOOKS is "
                "off)\n");
}

/* What each of NVIDIA's hook programs would do, in every way of calling it. */
static void test_emulated_hooks(void **state)
{
#define HOOK(arguments)                                                                            \
        "cdiVersion: 0.6.0\nkind: a/b\ndevices:\n- name: x\n  containerEdits:\n"                   \
        "    deviceNodes: [{path: /dev/nvidia0, hostPath: /dev/null},\n"                           \
        "      {path: /dev/nvidia5, hostPath: /dev/null}, {path: /dev/nvidiactl, hostPath: "      \
        "/dev/null}]\n"                                                                            \
        "    hooks: [{hookName: createContainer, path: /usr/bin/x, args: [" arguments "]}]\n"
#define NODES                                                                                      \
        "/dev/null /dev/nvidia0 none bind,noexec,nosuid,private,x-create=file 0 0\n"               \
        "/dev/null /dev/nvidia5 none bind,noexec,nosuid,private,x-create=file 0 0\n"               \
        "/dev/null /dev/nvidiactl none bind,noexec,nosuid,private,x-create=file 0 0\n"
        static const struct {
                const char *yaml, *added;
        } cases[] = {
                { HOOK("nvidia-cdi-hook, noop"), "" },
                { HOOK("/usr/bin/nvidia-ctk, hook, chmod, --mode, \"755\", --path, /dev"), "" },
                { HOOK("nvidia-cdi-hook, disable-device-node-modification"),
                  "memory:41 /proc/driver/nvidia/params" },
                { HOOK("nvidia-cdi-hook, update-application-profile"),
                  "/etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf" },
                { HOOK("nvidia-cdi-hook, enable-cuda-compat, --host-driver-version=535.1"), "" },
                { HOOK("nvidia-cdi-hook, create-symlinks, --link, \"x::/etc/link\""), "" },
                { HOOK("nvidia-cdi-hook, create-symlinks, --link=y::/etc/link"),
                  "/etc/link -> y\n" },
                { HOOK("nvidia-cdi-hook, create-symlinks, --link=nvidiactl::/etc/file"),
                  "! /etc/file of the image is in the way of a link to nvidiactl\n" },
                { HOOK("nvidia-ctk, noop"), "hook /usr/bin/x is not run" },
                { HOOK("nvidia-ctk, hook"), "hook /usr/bin/x is not run" },
                { HOOK("other, noop"), "hook /usr/bin/x is not run" },
        };
        static const char *const devices[] = { "a/b=x", NULL };

        (void)state;
        assert_int_equal(mkdir("root/etc", 0755), 0);
        assert_int_equal(symlink("x", "root/etc/link"), 0);
        write_file("root/etc/file", "of the image");
        assert_int_equal(mkdir("proc", 0755) | mkdir("proc/driver", 0755) |
                                 mkdir("proc/driver/nvidia", 0755),
                         0);
        write_file("proc/driver/nvidia/params", "ModifyDeviceFiles: 1\nDeviceFileMode: 438\n");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;

                if (plan_of(cases[i].yaml, devices, &text, &err) < 0)
                        fail_msg("%s: %s", cases[i].yaml, err.message);
                assert_int_equal(strncmp(text.data, NODES, strlen(NODES)), 0);
                if (*cases[i].added ? !strstr(text.data + strlen(NODES), cases[i].added)
                                    : text.length != strlen(NODES))
                        fail_msg("%s:\n%s", cases[i].yaml, text.data);
        }
}

static void test_unusable_edits(void **state)
{
#define ONE(edits)                                                                                 \
        "cdiVersion: 0.6.0\nkind: a/b\ndevices:\n- name: x\n  containerEdits: {" edits "}\n"
        static const struct {
                const char *yaml, *says;
        } cases[] = {
                { ONE("mounts: [{hostPath: /no/such.so.1, containerPath: /l}]"),
                  "first/plan.yaml names /no/such.so.1, which is not on this machine: the file is "
                  "stale" },
                { ONE("deviceNodes: [{path: /dev/no-such}]"), "names /dev/no-such" },
                { ONE("mounts: [{hostPath: /etc, containerPath: /l, options: [frob]}]"),
                  "\"frob\" is not known" },
                { ONE("hooks: [{hookName: prestart, path: /h, args: [nvidia-cdi-hook, "
                      "create-symlinks, --link, nothing]}]"),
                  "--link nothing is not TARGET::LINK" },
        };
        static const char *const devices[] = { "a/b=x", NULL };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(plan_of(cases[i].yaml, devices, &text, &err), -1);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("%s: %s", cases[i].yaml, err.message);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_long_names),
                cmocka_unit_test(test_yaml),
                cmocka_unit_test(test_yaml_bomb),
                cmocka_unit_test(test_bad_files),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_members),
                cmocka_unit_test_setup_teardown(test_precedence_and_conflicts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_merged_plan, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_emulated_hooks, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unusable_edits, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
