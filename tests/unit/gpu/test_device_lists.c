/* gpu/: AMD GPUs and InfiniBand adapters of fake roots; lists of devices; the private /dev. */
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

#include "gpu/amd.h"
#include "gpu/device_names.h"
#include "gpu/infiniband.h"
#include "gpu/sysfs.h"
#include "util/io.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-devices-XXXXXX";
static struct gpu_roots roots;
static struct strlist host, container;
static struct gpu_request request = { .roots = &roots, .host = &host, .container = &container };

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0)
                return -1;
        roots = (struct gpu_roots){ scratch, scratch, scratch, scratch, scratch };
        request.superuser = false;
        strlist_release(&host);
        return 0;
}

static int tear_down(void **state)
{
        struct error err;

        (void)state;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

/* A file below scratch, with the directories above it. */
static void file(const char *path, const char *text)
{
        struct error err;
        auto_free char *copy = strdup(path);
        auto_close int fd = -1;

        *strrchr(copy, '/') = '\0';
        assert_int_equal(path_make_private_dirs(copy, 0755, &err), 0);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void set(const char *variable)
{
        strlist_release(&host);
        assert_int_equal(strlist_append(&host, variable), 0);
}

/* What an injection comes to, without the path of scratch. */
static void print_injection(const struct gpu_injection *injection, struct strbuf *text)
{
        auto_strbuf struct strbuf line = STRBUF_INIT;

        for (size_t i = 0; i < injection->mounts.count; i++) {
                const struct mount_entry *entry = &injection->mounts.entries[i];
                const char *source = entry->source;

                if (strncmp(source, scratch, strlen(scratch)) == 0)
                        source += strlen(scratch);
                strbuf_printf(text, "%s %s\n", source, entry->target);
        }
        for (size_t i = 0; i < injection->link_count; i++)
                strbuf_printf(text, "%s -> %s\n", injection->links[i].path,
                              injection->links[i].target);
        for (size_t i = 0; i < injection->warnings.count; i++)
                strbuf_printf(text, "! %s\n", injection->warnings.items[i]);
}

typedef int (*inject_function)(const struct gpu_request *request, struct gpu_injection *injection,
                               struct error *err);

static void expect_plan(inject_function inject, const char *variable, const char *expected)
{
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        set(variable);
        if (inject(&request, &injection, &err) < 0)
                fail_msg("%s: %s", variable, err.message);
        print_injection(&injection, &text);
        assert_string_equal(strbuf_text(&text), expected);
}

static void expect_error(inject_function inject, const char *variable, const char *says)
{
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        struct error err = ERROR_INIT;

        set(variable);
        assert_int_equal(inject(&request, &injection, &err), -1);
        if (!strstr(err.message, says))
                fail_msg("%s: %s", variable, err.message);
}

/* ---- lists ---- */

static void test_lists(void **state)
{
        static const struct {
                const char *list, *items; /* ids in hexadecimal, "!" where it is wrong */
        } cases[] = {
                { "0", "0-0 " },
                { "0,2", "0-0 2-2 " },
                { " 1 , 3-5\t", "1-1 3-5 " },
                { ",,7,", "7-7 " },
                { "", "" },
                { "0x1fB", "=1fb " },
                { "0xffffffffffffffff", "=ffffffffffffffff " },
                { "0x10000000000000000", "!" },
                { "0x", "!" },
                { "0xg", "!" },
                { "1,x", "1-1 !" },
                { "-1", "!" },
                { "3-", "!" },
                { "5-3", "!" },
                { "1-2-3", "!" },
                { "1:2", "!" },
                { "4097", "!" },
                { "18446744073709551617", "!" },
                { "all,0", "!" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                const char *list = cases[i].list;
                struct device_item item;
                int result;

                while ((result = device_list_next(&list, &item)) > 0)
                        if (item.is_id)
                                strbuf_printf(&text, "=%llx ", (unsigned long long)item.id);
                        else
                                strbuf_printf(&text, "%u-%u ", item.first, item.last);
                strbuf_append(&text, result < 0 ? "!" : "");
                assert_string_equal(strbuf_text(&text), cases[i].items);
        }
        assert_false(device_list_wanted(NULL) || device_list_wanted("") ||
                     device_list_wanted("void") || device_list_wanted("none"));
        assert_true(device_list_wanted("all") && device_list_wanted("0"));
}

static void test_values(void **state)
{
        auto_free char *minor = sysfs_value("a 1\ndrm_render_minor 128\nz", "drm_render_minor");
        auto_free char *name = sysfs_value("MAJOR=231\nDEVNAME=infiniband/uverbs0", "DEVNAME");
        auto_free char *part = sysfs_value("unique_identity 5\n", "unique_id");

        (void)state;
        assert_string_equal(minor, "128");
        assert_string_equal(name, "infiniband/uverbs0");
        assert_null(part);
        assert_null(sysfs_value("", "a"));
}

/* ---- AMD ---- */

#define PCI      "sys/module/amdgpu/drivers/pci:amdgpu/"
#define TOPOLOGY "sys/class/kfd/kfd/topology/nodes/"

/* Two GPUs, the second in two partitions, and an integrated one without a render node. */
static void make_amd(void)
{
        file(PCI "0000:c1:00.0/drm/card1/x", "");
        file(PCI "0000:c1:00.0/drm/renderD129/x", "");
        file(PCI "0000:03:00.0/drm/card0/x", "");
        file(PCI "0000:03:00.0/drm/renderD128/x", "");
        file(PCI "0000:03:00.0/drm/controlD64/x", "");
        file(PCI "0000:f0:00.0/drm/card9/x", "");
        file(PCI "new_id", "");
        file("sys/devices/platform/amdgpu_xcp_0/drm/renderD130/x", "");
        file("sys/devices/platform/amdgpu_xcp_0/drm/card2/x", "");
        file("sys/devices/platform/other/drm/renderD140/x", "");
        file(TOPOLOGY "0/properties", "cpu_cores_count 8\ndrm_render_minor 0\nunique_id 0\n");
        file(TOPOLOGY "1/properties", "drm_render_minor 128\nunique_id 43981\n");
        file(TOPOLOGY "2/properties", "drm_render_minor 129\nunique_id 18446744073709551615\n");
        file(TOPOLOGY "3/properties", "drm_render_minor 130\nunique_id 43981\n");
        file("dev/kfd", "");
        for (int i = 0; i < 3; i++) {
                char path[32];

                (void)snprintf(path, sizeof(path), "dev/dri/card%d", i);
                file(path, "");
                (void)snprintf(path, sizeof(path), "dev/dri/renderD%d", 128 + i);
                file(path, "");
        }
        file("dev/dri/card9", "");
}

#define KFD       "/dev/kfd /dev/kfd\n"
#define GPU_0     "/dev/dri/card0 /dev/dri/card0\n/dev/dri/renderD128 /dev/dri/renderD128\n"
#define GPU_1     "/dev/dri/card2 /dev/dri/card2\n/dev/dri/renderD130 /dev/dri/renderD130\n"
#define GPU_2     "/dev/dri/card1 /dev/dri/card1\n/dev/dri/renderD129 /dev/dri/renderD129\n"
#define GPU_3     "/dev/dri/card9 /dev/dri/card9\n"

static void test_amd(void **state)
{
        static const struct {
                const char *variable, *plan;
        } plans[] = {
                { "AMD_VISIBLE_DEVICES=all", KFD GPU_0 GPU_1 GPU_2 GPU_3 },
                { "AMD_VISIBLE_DEVICES=0", KFD GPU_0 },
                { "AMD_VISIBLE_DEVICES=2,0", KFD GPU_0 GPU_2 },
                { "AMD_VISIBLE_DEVICES=1-3", KFD GPU_1 GPU_2 GPU_3 },
                { "AMD_VISIBLE_DEVICES=0xABCD", KFD GPU_0 GPU_1 },
                { "AMD_VISIBLE_DEVICES=0xffffffffffffffff,0", KFD GPU_0 GPU_2 },
        };
        static const struct {
                const char *variable, *says;
        } errors[] = {
                { "AMD_VISIBLE_DEVICES=4", "unknown device: 4 (there are 4 AMD GPUs, 0 to 3)" },
                { "AMD_VISIBLE_DEVICES=2-4", "unknown device: 2-4" },
                { "AMD_VISIBLE_DEVICES=0,GPU-1", "unknown device: GPU-1" },
                { "AMD_VISIBLE_DEVICES=0x0", "unknown device: 0x0" },
                { "AMD_VISIBLE_DEVICES=0xabce", "unknown device: 0xabce" },
        };

        (void)state;
        make_amd();
        for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
                expect_plan(gpu_amd_inject, plans[i].variable, plans[i].plan);
        for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
                expect_error(gpu_amd_inject, errors[i].variable, errors[i].says);
        assert_int_equal(unlink("dev/dri/renderD129"), 0);
        expect_error(gpu_amd_inject, "AMD_VISIBLE_DEVICES=2", "dev/dri/renderD129: ");
        assert_int_equal(unlink("dev/kfd"), 0);
        expect_error(gpu_amd_inject, "AMD_VISIBLE_DEVICES=0", "is the driver amdgpu loaded");
}

static void test_no_amd(void **state)
{
        (void)state;
        expect_error(gpu_amd_inject, "AMD_VISIBLE_DEVICES=all", "is the driver amdgpu loaded?");
        set("AMD_VISIBLE_DEVICES=none");
        assert_false(gpu_amd_wanted(&request));
        set("AMD_VISIBLE_DEVICES=");
        assert_false(gpu_amd_wanted(&request));
        set("AMD_VISIBLE_DEVICES=0");
        assert_true(gpu_amd_wanted(&request));
}

/* ---- InfiniBand ---- */

#define MLX5 "sys/bus/pci/drivers/mlx5_core/"

static void link_class(const char *class, const char *name, const char *device)
{
        char path[128], target[256];

        (void)snprintf(path, sizeof(path), "sys/class/%s/abi_version", class);
        file(path, "6\n");
        (void)snprintf(path, sizeof(path), "sys/class/%s/%s", class, name);
        (void)snprintf(target, sizeof(target), "../../bus/pci/drivers/mlx5_core/%s/%s/%s", device,
                       class, name);
        assert_int_equal(symlink(target, path), 0);
}

/*
 * Of the functions, the first has two interfaces of which the file "ibdev" tells whose the
 * verbs are, the second no class at all (Ethernet), the third no interface (a DPU), and
 * the fourth nothing that manages it (a virtual function).
 */
static void make_infiniband(void)
{
        file(MLX5 "bind", "");
        file(MLX5 "0000:12:00.0/infiniband/mlx5_0/x", "");
        file(MLX5 "0000:12:00.0/infiniband/mlx5_7/x", "");
        file(MLX5 "0000:12:00.0/infiniband_verbs/uverbs1/ibdev", "mlx5_7\n");
        file(MLX5 "0000:12:00.0/infiniband_mad/umad0/ibdev", "mlx5_7\n");
        file(MLX5 "0000:12:00.0/infiniband_mad/issm0/ibdev", "mlx5_7\n");
        file(MLX5 "0000:12:00.0/infiniband_mad/umad5/ibdev", "mlx5_0\n");
        file(MLX5 "0000:20:00.0/net/eth0", "");
        file(MLX5 "0000:30:00.0/infiniband_verbs/uverbs0/ibdev", "mlx5_1\n");
        file(MLX5 "0000:40:00.2/infiniband/mlx5_2/x", "");
        file(MLX5 "0000:40:00.2/infiniband_verbs/uverbs2/ibdev", "mlx5_2\n");
        link_class("infiniband", "mlx5_7", "0000:12:00.0");
        link_class("infiniband_verbs", "uverbs1", "0000:12:00.0");
        link_class("infiniband_mad", "umad0", "0000:12:00.0");
        assert_int_equal(unlink("sys/class/infiniband/abi_version"), 0);
        for (int i = 0; i < 3; i++) {
                char path[48];

                (void)snprintf(path, sizeof(path), "dev/infiniband/uverbs%d", i);
                file(path, "");
        }
        file("dev/infiniband/rdma_cm", "");
        file("dev/infiniband/umad0", "");
}

#define CLASSES                                                                                    \
        "tmpfs /sys/class/infiniband\n"                                                            \
        "tmpfs /sys/class/infiniband_verbs\n"                                                      \
        "/sys/class/infiniband_verbs/abi_version /sys/class/infiniband_verbs/abi_version\n"        \
        "tmpfs /sys/class/infiniband_mad\n"                                                        \
        "/sys/class/infiniband_mad/abi_version /sys/class/infiniband_mad/abi_version\n"            \
        "/dev/infiniband/rdma_cm /dev/infiniband/rdma_cm\n"
#define NODE(name) "/dev/infiniband/" name " /dev/infiniband/" name "\n"
#define FUNCTION   "/sys/bus/pci/drivers/mlx5_core/0000:12:00.0/"
#define LINKS                                                                                      \
        "/sys/class/infiniband_verbs/uverbs1 -> " FUNCTION "infiniband_verbs/uverbs1\n"            \
        "/sys/class/infiniband/mlx5_7 -> " FUNCTION "infiniband/mlx5_7\n"

static void test_infiniband(void **state)
{
        (void)state;
        make_infiniband();
        expect_plan(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=0",
                    CLASSES NODE("uverbs1") LINKS);
        expect_plan(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=all",
                    CLASSES NODE("uverbs1") NODE("uverbs0") NODE("uverbs2") LINKS);
        expect_plan(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=2,1",
                    CLASSES NODE("uverbs0") NODE("uverbs2"));
        request.superuser = true;
        expect_plan(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=0",
                    CLASSES NODE("uverbs1") NODE("umad0") LINKS
                    "/sys/class/infiniband_mad/umad0 -> " FUNCTION "infiniband_mad/umad0\n");
        expect_error(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=3",
                     "unknown device: 3 (there are 3 devices, 0 to 2)");
        expect_error(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=mlx5_7",
                     "unknown device: mlx5_7");
        expect_error(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=0x1", "unknown device: 0x1");
        assert_int_equal(unlink("dev/infiniband/uverbs0"), 0);
        expect_error(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=1",
                     "dev/infiniband/uverbs0: the InfiniBand devices cannot be used");
}

static void test_no_infiniband(void **state)
{
        (void)state;
        expect_plan(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=all",
                    "! MELLANOX_VISIBLE_DEVICES=all: there is no InfiniBand device of Mellanox "
                    "here\n");
        expect_error(gpu_infiniband_inject, "MELLANOX_VISIBLE_DEVICES=0",
                     "are mlx5_core and mlx5_ib loaded?");
        set("MELLANOX_VISIBLE_DEVICES=void");
        assert_false(gpu_infiniband_wanted(&request));
}

/* ---- the private /dev ---- */

static void test_subsets(void **state)
{
        static const struct {
                const char *variable;
                unsigned int kinds;
        } cases[] = {
                { "NVIDIA_VISIBLE_DEVICES=all", 0 },
                { "NVIDIA_VISIBLE_DEVICES=none", 0 },
                { "NVIDIA_VISIBLE_DEVICES=0,1", GPU_KIND_NVIDIA },
                { "NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=all", 0 },
                { "NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=0", GPU_KIND_NVIDIA },
                { "AMD_VISIBLE_DEVICES=1", GPU_KIND_AMD },
                { "AMD_VISIBLE_DEVICES=all", 0 },
                { "MELLANOX_VISIBLE_DEVICES=0", GPU_KIND_INFINIBAND },
                { "ENROOT_DEVICES=amd.com/gpu=0 acme.com/gpu=0", GPU_KIND_AMD },
                { "ENROOT_DEVICES=amd.com/gpu=all", 0 },
                { "OTHER=0", 0 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                set(cases[i].variable);
                assert_int_equal(gpu_subsets(&request), cases[i].kinds);
        }
}

static void test_private_dev(void **state)
{
        static const char *const without[] = { "shm", NULL };
        static const struct {
                unsigned int kinds;
                const char *names;
        } cases[] = {
                { 0, "dri infiniband net nvidia-caps " },
                { GPU_KIND_NVIDIA, "infiniband net " },
                { GPU_KIND_AMD, "infiniband net nvidia-caps " },
                { GPU_KIND_INFINIBAND, "dri net nvidia-caps " },
        };

        (void)state;
        file("dev/dri/card0", "");
        file("dev/infiniband/rdma_cm", "");
        file("dev/net/tun", "");
        file("dev/nvidia-caps/x", "");
        file("dev/shm/x", "");
        file("dev/regular", ""); /* no node */
        assert_int_equal(symlink("/proc/self/fd", "dev/fd"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf names = STRBUF_INIT;
                struct error err;

                assert_int_equal(gpu_private_dev(&request, cases[i].kinds, without, &plan, &err),
                                 0);
                for (size_t j = 0; j < plan.count; j++)
                        strbuf_printf(&names, "%s ", plan.entries[j].target + strlen("/dev/"));
                assert_string_equal(strbuf_text(&names), cases[i].names);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_values),
                cmocka_unit_test_setup_teardown(test_amd, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_amd, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_infiniband, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_infiniband, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_subsets, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_private_dev, set_up, tear_down),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        strlist_release(&host);
        return failed;
}
