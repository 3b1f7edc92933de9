/*
 * gpu/: what containers of several shapes get of a driver, for every combination of
 * capabilities and every form of NVIDIA_VISIBLE_DEVICES; NVML that fails, hangs, crashes.
 * The host is a directory of files that look like a driver's.
 */
#include <elf.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "env/env.h"
#include "files.h"
#include "gpu/ld_cache.h"
#include "gpu/nvidia.h"
#include "util/path.h"

#define VERSION "535.129.03"
#define LIBDIR  "/usr/lib/x86_64-linux-gnu"
#define LIB32   "/usr/lib/i386-linux-gnu"

/* The tables of libraries below are for x86-64, whose 32-bit companions are common. */
#if defined(__x86_64__)
#define NATIVE EM_X86_64
#define COMPAT EM_386
#else
#define NATIVE EM_AARCH64
#define COMPAT EM_ARM
#endif

static char scratch[] = "/tmp/enroot-test-nvidia-XXXXXX";

/* ---- a host and images ---- */

/*
 * Each library with the capabilities that the reference has for it: C compute, U utility,
 * V video, G graphics, D display, N ngx. "": never.
 */
static const struct {
        const char *name, *soname, *capabilities;
} libraries[] = {
        { "libnvidia-ml", "libnvidia-ml.so.1", "U" },
        { "libnvidia-cfg", "libnvidia-cfg.so.1", "U" },
        { "libnvidia-nscq", "libnvidia-nscq.so.2", "U" },
        { "libcuda", "libcuda.so.1", "CV" },
        { "libcudadebugger", "libcudadebugger.so.1", "CV" },
        { "libnvidia-opencl", "libnvidia-opencl.so.1", "CV" },
        { "libnvidia-gpucomp", NULL, "CVGD" },
        { "libnvidia-ptxjitcompiler", "libnvidia-ptxjitcompiler.so.1", "CV" },
        { "libnvidia-fatbinaryloader", NULL, "CV" },
        { "libnvidia-allocator", "libnvidia-allocator.so.1", "CVGD" },
        { "libnvidia-compiler", NULL, "CV" },
        { "libnvidia-pkcs11", NULL, "CV" },
        { "libnvidia-pkcs11-openssl3", NULL, "CV" },
        { "libnvidia-nvvm", "libnvidia-nvvm.so.4", "CV" },
        { "libnvidia-tileiras", NULL, "CV" },
        { "libnvidia-thing-of-2030", "libnvidia-thing-of-2030.so.1", "CV" },
        { "libnvidia-encode", "libnvidia-encode.so.1", "V" },
        { "libnvidia-opticalflow", "libnvidia-opticalflow.so.1", "V" },
        { "libnvcuvid", "libnvcuvid.so.1", "V" },
        { "libnvidia-eglcore", NULL, "GD" },
        { "libnvidia-glcore", NULL, "GD" },
        { "libnvidia-tls", NULL, "GD" },
        { "libnvidia-glsi", NULL, "GD" },
        { "libnvidia-fbc", "libnvidia-fbc.so.1", "GD" },
        { "libnvidia-ifr", "libnvidia-ifr.so.1", "GD" },
        { "libnvidia-rtcore", NULL, "GD" },
        { "libnvoptix", "libnvoptix.so.1", "GD" },
        { "libGLX_nvidia", "libGLX_nvidia.so.0", "GD" },
        { "libEGL_nvidia", "libEGL_nvidia.so.0", "GD" },
        { "libGLESv2_nvidia", "libGLESv2_nvidia.so.2", "GD" },
        { "libGLESv1_CM_nvidia", "libGLESv1_CM_nvidia.so.1", "GD" },
        { "libnvidia-glvkspirv", NULL, "GD" },
        { "libnvidia-cbl", NULL, "GD" },
        { "libnvidia-ngx", "libnvidia-ngx.so.1", "N" },
        { "libGL", "libGL.so.1", "" },
        { "libEGL", "libEGL.so.1", "" },
        { "libGLX", "libGLX.so.0", "" },
        { "libGLdispatch", "libGLdispatch.so.0", "" },
        { "libOpenGL", "libOpenGL.so.0", "" },
        { "libOpenCL", "libOpenCL.so.1", "" },
        { "libdrm", "libdrm.so.2", "" },
        { "libnuma", "libnuma.so.1", "" },
        { "libnvidia-gtk3", NULL, "" },
};

/* Capabilities in the order of enum nvidia_capability. */
static const char letters[] = "CUVGDN3";
static const char *const words[] = { "compute", "utility", "video",   "graphics",
                                     "display", "ngx",     "compat32" };

static void put_library(const char *dir, const char *name, const char *soname, uint16_t machine)
{
        auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;

        strbuf_printf(&path, "host%s/%s.so.%s", dir, name, VERSION);
        append_elf(&text, machine, soname);
        put_file(path.data, text.data, text.length);
}

static void put_cache(const char *path)
{
        const struct cache_line lines[] = {
                { 0x0303, "libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6" },
                { 0x0303, "libcuda.so.1", LIBDIR "/libcuda.so.1" },
                { 0x0003, "libcuda.so.1", LIB32 "/libcuda.so.1" },
        };
        auto_strbuf struct strbuf text = STRBUF_INIT;

        append_cache(&text, lines, ARRAY_SIZE(lines));
        put_file(path, text.data, text.length);
}

static void put_gpu(const char *address, const char *uuid, int minor, const char *excluded)
{
        auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;

        strbuf_printf(&path, "host/proc/driver/nvidia/gpus/%s/information", address);
        strbuf_printf(&text,
                      "Model: \t\t NVIDIA Fake\nGPU UUID: \t %s\nDevice Minor: \t %d\n"
                      "GPU Excluded:\t %s\n",
                      uuid, minor, excluded);
        put_text(path.data, text.data);
        strbuf_reset(&path);
        strbuf_printf(&path, "host/dev/nvidia%d", minor);
        put_text(path.data, "");
        for (int i = 0; i < 2; i++) {
                strbuf_reset(&path);
                strbuf_printf(&path, "host/sys/bus/pci/devices/%s/drm/%s%d/x", address,
                              i ? "renderD" : "card", minor + i * 128);
                put_text(path.data, "");
                strbuf_reset(&path);
                strbuf_printf(&path, "host/dev/dri/%s%d", i ? "renderD" : "card", minor + i * 128);
                put_text(path.data, "");
        }
}

static void put_partition(const char *path, int minor)
{
        auto_strbuf struct strbuf full = STRBUF_INIT, text = STRBUF_INIT;

        strbuf_printf(&full, "host/proc/driver/nvidia/capabilities/gpu0/mig/%s/access", path);
        strbuf_printf(&text, "DeviceFileMinor: %d\nDeviceFileMode: 256\n", minor);
        put_text(full.data, text.data);
        strbuf_reset(&full);
        strbuf_printf(&full, "host/dev/nvidia-caps/nvidia-cap%d", minor);
        put_text(full.data, "");
}

static void put_driver(void)
{
        static const char *const programs[] = { "nvidia-smi", "nvidia-debugdump",
                                                "nvidia-persistenced", "nv-fabricmanager",
                                                "nvidia-cuda-mps-control",
                                                "nvidia-cuda-mps-server" };

        for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
                put_library(LIBDIR, libraries[i].name, libraries[i].soname, NATIVE);
                put_library(LIB32, libraries[i].name, libraries[i].soname, COMPAT);
        }
        put_library(LIBDIR "/vdpau", "libvdpau_nvidia", "libvdpau_nvidia.so.1", NATIVE);
        put_text("host" LIBDIR "/libcuda.so.470.1", "another version");
        put_cache("host/etc/ld.so.cache");
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                auto_strbuf struct strbuf path = STRBUF_INIT;

                strbuf_printf(&path, "host/usr/bin/%s", programs[i]);
                put_text(path.data, "");
        }
        put_text("host/lib/firmware/nvidia/" VERSION "/gsp_ga10x.bin", "");
        put_text("host/lib/firmware/nvidia/" VERSION "/notes.txt", "");
        put_text("host/etc/glvnd/egl_vendor.d/10_nvidia.json", "");
        put_text("host/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json", "");
        put_text("host/usr/share/vulkan/icd.d/intel_icd.json", "");
        put_text("host/usr/share/nvidia/nvoptix.bin", "");
        put_text("host/run/nvidia-persistenced/socket", "");
}

static void put_host(void)
{
        static const char *const nodes[] = { "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools",
                                             "nvidia-modeset", "nvidia-fs0", "nvidia-nvswitchctl",
                                             "infiniband/uverbs0", "infiniband/rdma_cm",
                                             "nvidia-caps-imex-channels/channel0" };

        put_driver();
        put_text("host/proc/driver/nvidia/version",
                 "NVRM version: NVIDIA UNIX x86_64 Kernel Module  " VERSION "  Thu\n");
        put_text("host/proc/driver/nvidia/params", "A: 1\nModifyDeviceFiles: 1\nB: 2\n");
        put_text("host/proc/driver/nvidia/registry", "");
        put_gpu("0000:17:00.0", "GPU-aaaa", 1, "No");
        put_gpu("0000:65:00.0", "GPU-?", 0, "No");
        put_gpu("0000:b3:00.0", "GPU-eeee", 2, "Yes");
        for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
                auto_strbuf struct strbuf path = STRBUF_INIT;

                strbuf_printf(&path, "host/dev/%s", nodes[i]);
                put_text(path.data, "");
        }
        put_partition("gi2", 21);
        put_partition("gi2/ci1", 22);
        put_partition("gi3", 30);
        put_partition("gi3/ci0", 31);
}

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0)
                return -1;
        put_host();
        put_text("debian/etc/debian_version", "12\n");
        put_cache("debian/etc/ld.so.cache");
        put_cache("rhel/etc/ld.so.cache");
        put_text("alpine/etc/alpine-release", "3.20\n");
        return 0;
}

static int tear_down(void **state)
{
        struct error err;

        (void)state;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

/* ---- one injection ---- */

struct trial {
        struct strlist host, container;
        struct gpu_injection injection;
        struct error err;
        struct strbuf plan;
};

static void trial_release(struct trial *trial)
{
        strlist_release(&trial->host);
        strlist_release(&trial->container);
        gpu_injection_release(&trial->injection);
        strbuf_release(&trial->plan);
}

/* Paths of the scratch directory as "HOST/…". */
static void append_short(struct strbuf *plan, const char *text)
{
        const char *found;
        size_t length = strlen(scratch);

        while ((found = strstr(text, scratch))) {
                strbuf_append_mem(plan, text, (size_t)(found - text));
                strbuf_append(plan, "HOST");
                text = found + length + strlen("/host");
        }
        strbuf_append(plan, text);
}

static void print_plan(struct trial *trial)
{
        const struct gpu_injection *injection = &trial->injection;
        struct strbuf *plan = &trial->plan;

        for (size_t i = 0; i < injection->mounts.count; i++) {
                const struct mount_entry *entry = &injection->mounts.entries[i];

                append_short(plan, entry->content ? "memory" : entry->source);
                strbuf_printf(plan, " %s%s\n", entry->target, entry->nofail ? "" : " !");
        }
        for (size_t i = 0; i < injection->link_count; i++)
                strbuf_printf(plan, "link %s %s\n", injection->links[i].path,
                              injection->links[i].target);
        for (size_t i = 0; i < injection->environment.count; i++)
                strbuf_printf(plan, "env %s\n", injection->environment.items[i]);
        for (size_t i = 0; i < injection->warnings.count; i++) {
                strbuf_append(plan, "warning ");
                append_short(plan, injection->warnings.items[i]);
                strbuf_append_char(plan, '\n');
        }
        assert_false(plan->failed);
}

/* Inject into an image, with the words of NAME=VALUE of the container. -1 with trial->err. */
static int inject(struct trial *trial, const char *image, const char *const *variables)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_close int fd = open(image, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct root_view view = root_view_directory(fd);
        struct gpu_request request = {
                .roots = &roots,
                .host = &trial->host,
                .container = &trial->container,
                .view = &view,
        };
        auto_strbuf struct strbuf root = STRBUF_INIT;
        int result;

        assert_true(fd >= 0);
        strbuf_printf(&root, "%s/host/", scratch);
        assert_int_equal(env_set(&trial->host, GPU_TEST_ROOT, root.data), 0);
        assert_int_equal(env_set(&trial->host, "PATH", "/usr/bin"), 0);
        for (; *variables; variables++)
                assert_int_equal(strlist_append(&trial->container, *variables), 0);
        assert_int_equal(gpu_roots_init(&roots, &trial->host), 0);
        result = gpu_nvidia_inject(&request, &trial->injection, &trial->err);
        if (result < 0) { /* nothing is injected in part */
                assert_int_equal(trial->injection.mounts.count, 0);
                assert_int_equal(trial->injection.link_count, 0);
                print_message("%s\n", trial->err.message);
        }
        print_plan(trial);
        return result;
}

#define auto_trial auto_cleanup(trial_release)

static void assert_plan_has(const struct trial *trial, const char *line, bool has)
{
        auto_strbuf struct strbuf all = STRBUF_INIT, wanted = STRBUF_INIT;

        strbuf_printf(&all, "\n%s", strbuf_text(&trial->plan));
        strbuf_printf(&wanted, "\n%s\n", line);
        if ((strstr(all.data, wanted.data) != NULL) == has)
                return;
        print_message("%s: %s\n%s", has ? "missing" : "present", line, all.data);
        fail();
}

/* ---- golden plans ---- */

/* Every combination of capabilities, for every shape of image, against the table above. */
static void test_every_combination_of_capabilities(void **state)
{
        static const struct {
                const char *image, *dir, *dir32;
        } shapes[] = {
                { "debian", LIBDIR, LIB32 },
                { "rhel", "/usr/lib64", "/usr/lib" },
                { "alpine", "/usr/lib64", "/usr/lib" },
        };
        static const struct {
                const char *line, *capabilities;
        } others[] = {
                { "HOST/dev/nvidiactl /dev/nvidiactl !", "CUVGDN3" },
                { "HOST/dev/nvidia1 /dev/nvidia1 !", "CUVGDN3" },
                { "HOST/dev/nvidia2 /dev/nvidia2 !", "" },
                { "HOST/dev/nvidia-uvm /dev/nvidia-uvm", "C" },
                { "HOST/dev/nvidia-uvm-tools /dev/nvidia-uvm-tools", "C" },
                { "HOST/dev/nvidia-caps-imex-channels /dev/nvidia-caps-imex-channels", "C" },
                { "HOST/dev/nvidia-modeset /dev/nvidia-modeset", "D" },
                { "HOST/dev/dri/card1 /dev/dri/card1", "GD" },
                { "HOST/dev/dri/renderD129 /dev/dri/renderD129", "GD" },
                { "HOST/usr/bin/nvidia-smi /usr/bin/nvidia-smi", "U" },
                { "HOST/usr/bin/nvidia-debugdump /usr/bin/nvidia-debugdump", "U" },
                { "HOST/usr/bin/nvidia-persistenced /usr/bin/nvidia-persistenced", "U" },
                { "HOST/usr/bin/nv-fabricmanager /usr/bin/nv-fabricmanager", "U" },
                { "HOST/usr/bin/nvidia-cuda-mps-control /usr/bin/nvidia-cuda-mps-control", "C" },
                { "HOST/usr/bin/nvidia-cuda-mps-server /usr/bin/nvidia-cuda-mps-server", "C" },
                { "HOST/run/nvidia-persistenced/socket /run/nvidia-persistenced/socket", "U" },
                { "HOST/lib/firmware/nvidia/" VERSION "/gsp_ga10x.bin /lib/firmware/nvidia/" VERSION
                  "/gsp_ga10x.bin",
                  "CUVGDN3" },
                { "memory /proc/driver/nvidia/params", "CUVGDN3" },
                { "memory /etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf", "G" },
                { "HOST/etc/glvnd/egl_vendor.d/10_nvidia.json "
                  "/etc/glvnd/egl_vendor.d/10_nvidia.json",
                  "GD" },
                { "HOST/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json "
                  "/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json",
                  "GD" },
                { "HOST/usr/share/vulkan/icd.d/intel_icd.json "
                  "/usr/share/vulkan/icd.d/intel_icd.json",
                  "" },
                { "HOST/usr/share/nvidia/nvoptix.bin /usr/share/nvidia/nvoptix.bin", "GD" },
        };

        (void)state;
        for (unsigned int set = 1; set < 1u << strlen(letters); set++)
                for (size_t s = 0; s < ARRAY_SIZE(shapes); s++) {
                        auto_trial struct trial trial = { .err = ERROR_INIT };
                        auto_strbuf struct strbuf capabilities = STRBUF_INIT, own = STRBUF_INIT;
                        const char *variables[] = { "NVIDIA_VISIBLE_DEVICES=all", NULL, NULL };
                        bool any = false;

                        strbuf_append(&capabilities, "NVIDIA_DRIVER_CAPABILITIES=");
                        for (size_t i = 0; letters[i]; i++)
                                if (set & 1u << i) {
                                        strbuf_printf(&capabilities, "%s,", words[i]);
                                        strbuf_append_char(&own, letters[i]);
                                }
                        variables[1] = capabilities.data;
                        assert_int_equal(inject(&trial, shapes[s].image, variables), 0);
                        assert_int_equal(trial.injection.warnings.count, 0);
                        for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
                                bool wanted = strpbrk(libraries[i].capabilities, own.data) != NULL;
                                bool both = wanted && strchr(own.data, '3') != NULL;
                                const char *name = libraries[i].name;
                                char line[512];

                                any |= wanted;
                                (void)snprintf(line, sizeof(line),
                                               "HOST" LIBDIR "/%s.so." VERSION " %s/%s.so." VERSION
                                               " !",
                                               name, shapes[s].dir, name);
                                assert_plan_has(&trial, line, wanted);
                                (void)snprintf(line, sizeof(line),
                                               "HOST" LIB32 "/%s.so." VERSION " %s/%s.so." VERSION
                                               " !",
                                               name, shapes[s].dir32, name);
                                assert_plan_has(&trial, line, both);
                                if (!libraries[i].soname)
                                        continue;
                                (void)snprintf(line, sizeof(line), "link %s/%s %s.so." VERSION,
                                               shapes[s].dir, libraries[i].soname, name);
                                assert_plan_has(&trial, line, wanted);
                        }
                        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                                assert_plan_has(&trial, others[i].line,
                                                strpbrk(others[i].capabilities, own.data) != NULL);
                        assert_plan_has(&trial, "memory /etc/ld.so.cache",
                                        any && strcmp(shapes[s].image, "alpine") != 0);
                        assert_plan_has(&trial,
                                        strchr(own.data, 'V')
                                                ? "env LD_LIBRARY_PATH=/usr/lib64:/usr/lib64/vdpau"
                                                : "env LD_LIBRARY_PATH=/usr/lib64",
                                        any && strcmp(shapes[s].image, "alpine") == 0);
                }
}

/* One plan as a whole, so that nothing else slips in. */
static void test_the_whole_plan_of_utility(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=0", NULL };
        auto_trial struct trial trial = { .err = ERROR_INIT };

        (void)state;
        assert_int_equal(inject(&trial, "debian", variables), 0);
        assert_string_equal(
                trial.plan.data,
                "HOST/dev/nvidiactl /dev/nvidiactl !\n"
                "HOST/dev/nvidia1 /dev/nvidia1 !\n"
                "tmpfs /proc/driver/nvidia\n"
                "HOST/proc/driver/nvidia/version /proc/driver/nvidia/version\n"
                "HOST/proc/driver/nvidia/registry /proc/driver/nvidia/registry\n"
                "HOST/proc/driver/nvidia/gpus/0000:17:00.0 "
                "/proc/driver/nvidia/gpus/0000:17:00.0\n"
                "memory /proc/driver/nvidia/params\n"
                "HOST" LIBDIR "/libnvidia-cfg.so." VERSION " " LIBDIR "/libnvidia-cfg.so." VERSION
                " !\n"
                "HOST" LIBDIR "/libnvidia-ml.so." VERSION " " LIBDIR "/libnvidia-ml.so." VERSION
                " !\n"
                "HOST" LIBDIR "/libnvidia-nscq.so." VERSION " " LIBDIR
                "/libnvidia-nscq.so." VERSION " !\n"
                "HOST/usr/bin/nvidia-smi /usr/bin/nvidia-smi\n"
                "HOST/usr/bin/nvidia-debugdump /usr/bin/nvidia-debugdump\n"
                "HOST/usr/bin/nvidia-persistenced /usr/bin/nvidia-persistenced\n"
                "HOST/usr/bin/nv-fabricmanager /usr/bin/nv-fabricmanager\n"
                "HOST/run/nvidia-persistenced/socket /run/nvidia-persistenced/socket\n"
                "HOST/lib/firmware/nvidia/" VERSION "/gsp_ga10x.bin /lib/firmware/nvidia/" VERSION
                "/gsp_ga10x.bin\n"
                "memory /etc/ld.so.cache\n"
                "link " LIBDIR "/libnvidia-cfg.so.1 libnvidia-cfg.so." VERSION "\n"
                "link " LIBDIR "/libnvidia-ml.so.1 libnvidia-ml.so." VERSION "\n"
                "link " LIBDIR "/libnvidia-nscq.so.2 libnvidia-nscq.so." VERSION "\n");
}

static void test_names_for_linking(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all",
                                                 "NVIDIA_DRIVER_CAPABILITIES=all", NULL };
        static const char *const lines[] = {
                "link " LIBDIR "/libcuda.so libcuda.so.1",
                "link " LIBDIR "/libnvidia-opticalflow.so libnvidia-opticalflow.so.1",
                "link " LIBDIR "/libGLX_indirect.so.0 libGLX_nvidia.so." VERSION,
                "link " LIBDIR "/gbm/nvidia-drm_gbm.so ../libnvidia-allocator.so.1",
                "HOST" LIBDIR "/vdpau/libvdpau_nvidia.so." VERSION " " LIBDIR
                "/vdpau/libvdpau_nvidia.so." VERSION " !",
                "link " LIBDIR "/vdpau/libvdpau_nvidia.so.1 libvdpau_nvidia.so." VERSION,
        };
        auto_trial struct trial trial = { .err = ERROR_INIT };

        (void)state;
        assert_int_equal(inject(&trial, "debian", variables), 0);
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                assert_plan_has(&trial, lines[i], true);
}

/* ---- NVIDIA_VISIBLE_DEVICES ---- */

static void test_devices_in_every_form(void **state)
{
        static const struct {
                const char *devices;
                bool first, second;   /* GPUs of minors 1 and 0 */
                const char *error;
        } cases[] = {
                { "all", true, true, NULL },
                { "none", false, false, NULL },
                { "0", true, false, NULL },
                { "1", false, true, NULL },
                { "1,0", true, true, NULL },
                { "0,,1", true, true, NULL },
                { "GPU-aaaa", true, false, NULL },
                { "gpu-AAAA", true, false, NULL },
                { "GPU-bbbb", false, true, NULL }, /* NVML alone knows it */
                { "0000:17:00.0", true, false, NULL },
                { "00000000:65:00.0", false, true, NULL },
                { "65:00.0,0", true, true, NULL },
                { "MIG-cccc", false, true, NULL },
                { "1:0", false, true, NULL },
                { "MIG-GPU-bbbb/2/1", false, true, NULL },
                { "2", false, false, "unknown device: 2" }, /* it is excluded */
                { "99999999999", false, false, "unknown device: 99999999999" },
                { "GPU-eeee", false, false, "excluded" },
                { "GPU-ffff", false, false, "unknown device: GPU-ffff" },
                { "MIG-dddd", false, false, "unknown device: MIG-dddd" },
                { "MIG-GPU-ffff/1/1", false, false, "unknown device: MIG-GPU-ffff/1/1" },
                { "1:5", false, false, "unknown device: 1:5" },
                { "9:0", false, false, "unknown device: 9:0" },
                { "0,everything", false, false, "unknown device: everything" },
                { "0000:99:00.0", false, false, "unknown device: 0000:99:00.0" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_trial struct trial trial = { .err = ERROR_INIT };
                char variable[128];
                const char *variables[] = { variable, NULL };

                print_message("%s\n", cases[i].devices);
                (void)snprintf(variable, sizeof(variable), "NVIDIA_VISIBLE_DEVICES=%s",
                               cases[i].devices);
                if (cases[i].error) {
                        assert_int_equal(inject(&trial, "debian", variables), -1);
                        assert_non_null(strstr(trial.err.message, cases[i].error));
                        continue;
                }
                assert_int_equal(inject(&trial, "debian", variables), 0);
                assert_plan_has(&trial, "HOST/dev/nvidia1 /dev/nvidia1 !", cases[i].first);
                assert_plan_has(&trial, "HOST/dev/nvidia0 /dev/nvidia0 !", cases[i].second);
                assert_plan_has(&trial, "HOST/dev/nvidiactl /dev/nvidiactl !", true);
        }
}

static void test_partitions_get_their_nodes(void **state)
{
        static const struct {
                const char *devices;
                bool second, third; /* the partitions 2/1 and 3/0 of GPU 1 */
        } cases[] = {
                { "MIG-cccc", true, false },
                { "1:0", true, false },
                { "MIG-GPU-bbbb/3/0", false, true },
                { "1", true, true },
                { "0", false, false },
                { "all", true, true },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_trial struct trial trial = { .err = ERROR_INIT };
                char variable[128];
                const char *variables[] = { variable, NULL };

                (void)snprintf(variable, sizeof(variable), "NVIDIA_VISIBLE_DEVICES=%s",
                               cases[i].devices);
                assert_int_equal(inject(&trial, "debian", variables), 0);
                assert_plan_has(&trial,
                                "HOST/proc/driver/nvidia/capabilities/gpu0/mig/gi2/access "
                                "/proc/driver/nvidia/capabilities/gpu0/mig/gi2/access",
                                cases[i].second);
                assert_plan_has(&trial, "HOST/dev/nvidia-caps/nvidia-cap21 "
                                        "/dev/nvidia-caps/nvidia-cap21",
                                cases[i].second);
                assert_plan_has(&trial, "HOST/dev/nvidia-caps/nvidia-cap22 "
                                        "/dev/nvidia-caps/nvidia-cap22",
                                cases[i].second);
                assert_plan_has(&trial, "HOST/dev/nvidia-caps/nvidia-cap31 "
                                        "/dev/nvidia-caps/nvidia-cap31",
                                cases[i].third);
        }
}

static void test_the_host_counts_first(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all", NULL };
        auto_trial struct trial one = { .err = ERROR_INIT }, none = { .err = ERROR_INIT };

        (void)state;
        assert_int_equal(env_set(&one.host, "NVIDIA_VISIBLE_DEVICES", "0"), 0);
        assert_int_equal(inject(&one, "debian", variables), 0);
        assert_plan_has(&one, "HOST/dev/nvidia0 /dev/nvidia0 !", false);
        assert_int_equal(env_set(&none.host, "NVIDIA_VISIBLE_DEVICES", "void"), 0);
        assert_int_equal(inject(&none, "debian", variables), 0);
        assert_string_equal(strbuf_text(&none.plan), "");
}

static void test_optional_devices(void **state)
{
        static const struct {
                const char *variable, *line;
        } cases[] = {
                { "NVIDIA_GDS=enabled", "HOST/dev/nvidia-fs0 /dev/nvidia-fs0" },
                { "NVIDIA_MOFED=enabled", "HOST/dev/infiniband/uverbs0 /dev/infiniband/uverbs0" },
                { "NVIDIA_MOFED=enabled", "HOST/dev/infiniband/rdma_cm /dev/infiniband/rdma_cm" },
                { "NVIDIA_NVSWITCH=enabled",
                  "HOST/dev/nvidia-nvswitchctl /dev/nvidia-nvswitchctl" },
                { "NVIDIA_GDRCOPY=enabled",
                  "warning NVIDIA_GDRCOPY is enabled, but the host has no such device" },
                { "NVIDIA_GDS=disabled", NULL },
                { "NVIDIA_IMEX_CHANNELS=0", "HOST/dev/nvidia-caps-imex-channels/channel0 "
                                            "/dev/nvidia-caps-imex-channels/channel0" },
                { "NVIDIA_IMEX_CHANNELS=7", "warning /dev/nvidia-caps-imex-channels/channel7 is "
                                            "missing on the host (NVIDIA_IMEX_CHANNELS)" },
                { "NVIDIA_MIG_CONFIG_DEVICES=all", "HOST/dev/nvidia-caps /dev/nvidia-caps" },
                { "NVIDIA_MIG_MONITOR_DEVICES=all",
                  "HOST/proc/driver/nvidia/capabilities /proc/driver/nvidia/capabilities" },
        };
        static const char *const bad[] = { "NVIDIA_IMEX_CHANNELS=x", "NVIDIA_MIG_CONFIG_DEVICES=0",
                                           "NVIDIA_DRIVER_CAPABILITIES=gpu" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_trial struct trial trial = { .err = ERROR_INIT };
                const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=none", cases[i].variable,
                                                  NULL };

                assert_int_equal(inject(&trial, "debian", variables), 0);
                if (cases[i].line)
                        assert_plan_has(&trial, cases[i].line, true);
                else
                        assert_null(strstr(trial.plan.data, "nvidia-fs"));
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                auto_trial struct trial trial = { .err = ERROR_INIT };
                const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all", bad[i], NULL };

                assert_int_equal(inject(&trial, "debian", variables), -1);
        }
}

/* ---- requirements ---- */

static void test_requirements_of_images(void **state)
{
        static const struct {
                const char *variable, *other, *error;
        } cases[] = {
                { "NVIDIA_REQUIRE_CUDA=cuda>=12.2", NULL, NULL },
                { "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=535,driver<536",
                  "NVIDIA_VISIBLE_DEVICES=0", NULL },
                { "NVIDIA_REQUIRE_CUDA=cuda>=12.4", NULL,
                  "requirement error: unsatisfied condition: cuda>=12.4, please update your driver "
                  "to a newer version, or use an earlier cuda container" },
                { "NVIDIA_REQUIRE_CUDA=cuda>=12.4", NULL, "NVIDIA_DISABLE_REQUIRE" },
                { "NVIDIA_REQUIRE_CUDA=cuda>=12.4", "NVIDIA_DISABLE_REQUIRE=1", NULL },
                { "NVIDIA_REQUIRE_ARCH=arch>=9.0", "NVIDIA_VISIBLE_DEVICES=1", NULL },
                { "NVIDIA_REQUIRE_ARCH=arch>=9.0", "NVIDIA_VISIBLE_DEVICES=all",
                  "condition: arch>=9.0 (NVIDIA_REQUIRE_ARCH" },
                { "NVIDIA_REQUIRE_BRAND=brand=tesla", "NVIDIA_VISIBLE_DEVICES=0", NULL },
                { "NVIDIA_REQUIRE_BRAND=brand=tesla", "NVIDIA_VISIBLE_DEVICES=1",
                  "condition: brand=tesla" },
                { "NVIDIA_REQUIRE_X=nonsense", NULL, "NVIDIA_REQUIRE_X: invalid expression" },
                { "NVIDIA_REQUIRE_X=", NULL, NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_trial struct trial trial = { .err = ERROR_INIT };
                const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all", cases[i].variable,
                                                  cases[i].other, NULL };
                int result = inject(&trial, "debian", variables);

                assert_int_equal(result, cases[i].error ? -1 : 0);
                if (cases[i].error)
                        assert_non_null(strstr(trial.err.message, cases[i].error));
        }
}

static void test_old_images_on_request(void **state)
{
        static const char *const variables[] = { "CUDA_VERSION=12.2.9", NULL };
        static const char *const newer[] = { "CUDA_VERSION=12.4.1", NULL };
        auto_trial struct trial off = { .err = ERROR_INIT }, on = { .err = ERROR_INIT },
                                unmet = { .err = ERROR_INIT };

        (void)state;
        assert_int_equal(inject(&off, "debian", variables), 0);
        assert_string_equal(strbuf_text(&off.plan), "");
        assert_int_equal(env_set(&off.host, "ENROOT_LEGACY_CUDA", "no"), 0);
        assert_int_equal(inject(&off, "debian", variables), 0);
        assert_string_equal(strbuf_text(&off.plan), "");
        assert_int_equal(env_set(&on.host, "ENROOT_LEGACY_CUDA", "y"), 0);
        assert_int_equal(inject(&on, "debian", variables), 0);
        assert_plan_has(&on, "HOST/dev/nvidia0 /dev/nvidia0 !", true);
        assert_plan_has(&on, "link " LIBDIR "/libcuda.so.1 libcuda.so." VERSION, true);
        assert_int_equal(env_set(&unmet.host, "ENROOT_LEGACY_CUDA", "y"), 0);
        assert_int_equal(inject(&unmet, "debian", newer), -1);
}

/* ---- what is wrong with a host ---- */

static void move(const char *from, const char *to)
{
        if (rename(from, to) < 0) {
                print_message("%s: %s\n", from, strerror(errno));
                fail();
        }
}

/* Take something of the host away, look, and put it back. */
static void check_without(const char *path, const char *devices, const char *capabilities,
                          const char *error, const char *line)
{
        auto_trial struct trial trial = { .err = ERROR_INIT };
        const char *const variables[] = { devices, capabilities, NULL };
        int result;

        move(path, "away");
        result = inject(&trial, "debian", variables);
        move("away", path);
        assert_int_equal(result, error ? -1 : 0);
        if (error && !strstr(trial.err.message, error)) {
                print_message("\"%s\" is not in \"%s\"\n", error, trial.err.message);
                fail();
        }
        if (line)
                assert_plan_has(&trial, line, true);
}

static void test_diagnosis(void **state)
{
        static const char all[] = "NVIDIA_VISIBLE_DEVICES=all";
        static const char none[] = "NVIDIA_VISIBLE_DEVICES=none";
        static const char compute[] = "NVIDIA_DRIVER_CAPABILITIES=compute,utility";

        (void)state;
        check_without("host/proc/driver", all, compute, "no NVIDIA GPU and no driver", NULL);
        check_without("host/proc/driver", none, compute, NULL,
                      "warning the NVIDIA driver is asked for and not loaded");
        check_without("host/dev/nvidiactl", all, compute, "/dev/nvidiactl is missing", NULL);
        check_without("host/dev/nvidiactl", none, compute, NULL,
                      "warning /dev/nvidiactl cannot be opened: No such file or directory");
        check_without("host/dev/nvidia-uvm", all, compute, NULL,
                      "warning /dev/nvidia-uvm cannot be opened: No such file or directory (CUDA "
                      "needs it: as root, run \"nvidia-modprobe -u -c0\")");
        check_without("host/dev/nvidia1", "NVIDIA_VISIBLE_DEVICES=GPU-aaaa", compute,
                      "GPU GPU-aaaa: /dev/nvidia1 cannot be opened: No such file", NULL);
        check_without("host" LIBDIR "/libcuda.so." VERSION, all, compute,
                      "libcuda.so." VERSION " of the driver is not installed", NULL);
        check_without("host" LIBDIR "/libcuda.so." VERSION, all, "X=y", NULL, NULL);
        check_without("host" LIBDIR "/libnvidia-ml.so." VERSION, all, compute, NULL,
                      "warning libnvidia-ml.so." VERSION " of the driver is not installed on the "
                      "host; nvidia-smi will not work");
        put_link("host" LIBDIR "/libcuda.so.1", "libcuda.so.470.1");
        check_without("host" LIBDIR "/libcuda.so." VERSION, all, compute,
                      "the loaded driver is " VERSION ", but its library is libcuda.so.470.1",
                      NULL);
        assert_int_equal(unlink("host" LIBDIR "/libcuda.so.1"), 0);
        /* Index 0 is the first GPU that can be opened. */
        check_without("host/dev/nvidia1", "NVIDIA_VISIBLE_DEVICES=0", compute, NULL,
                      "HOST/dev/nvidia0 /dev/nvidia0 !");
}

static void test_hardware_without_a_driver(void **state)
{
        put_text("host/sys/bus/pci/devices/0000:17:00.0/vendor", "0x10de\n");
        put_text("host/sys/bus/pci/devices/0000:17:00.0/class", "0x030200\n");
        (void)state;
        check_without("host/proc/driver", "NVIDIA_VISIBLE_DEVICES=all", NULL,
                      "the NVIDIA driver is not loaded: as root, run \"modprobe nvidia\"", NULL);
}

static void test_cuda_without_compute(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all", "CUDA_VERSION=12.2",
                                                 NULL };
        auto_trial struct trial trial = { .err = ERROR_INIT };

        (void)state;
        assert_int_equal(inject(&trial, "debian", variables), 0);
        assert_plan_has(&trial,
                        "warning CUDA will not find the driver: NVIDIA_DRIVER_CAPABILITIES does "
                        "not have compute",
                        true);
}

/* ---- where the driver is ---- */

static void test_a_driver_without_a_cache(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all", NULL };
        auto_trial struct trial trial = { .err = ERROR_INIT };
        int result;

        (void)state;
        put_link("host" LIBDIR "/libnvidia-ml.so.1", "libnvidia-ml.so." VERSION);
        move("host/etc/ld.so.cache", "away");
        result = inject(&trial, "debian", variables);
        move("away", "host/etc/ld.so.cache");
        assert_int_equal(unlink("host" LIBDIR "/libnvidia-ml.so.1"), 0);
        assert_int_equal(result, 0);
#if defined(__x86_64__)
        assert_plan_has(&trial,
                        "HOST" LIBDIR "/libnvidia-ml.so." VERSION " " LIBDIR
                        "/libnvidia-ml.so." VERSION " !",
                        true);
#endif
}

static void test_a_driver_in_another_root(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all", NULL };
        auto_trial struct trial set = { .err = ERROR_INIT }, found = { .err = ERROR_INIT };
        char root[128];
        int result;

        (void)state;
        (void)snprintf(root, sizeof(root), "%s/host", scratch);
        assert_int_equal(env_set(&set.host, GPU_DRIVER_ROOT, root), 0);
        assert_int_equal(inject(&set, "debian", variables), 0);
        assert_plan_has(&set, "HOST/usr/bin/nvidia-smi /usr/bin/nvidia-smi", true);
        /* As the container of NVIDIA's GPU operator has it. */
        assert_int_equal(mkdir("host/run/nvidia", 0755), 0);
        assert_int_equal(mkdir("host/run/nvidia/driver", 0755), 0);
        move("host/usr", "host/run/nvidia/driver/usr");
        move("host/etc", "host/run/nvidia/driver/etc");
        result = inject(&found, "debian", variables);
        move("host/run/nvidia/driver/usr", "host/usr");
        move("host/run/nvidia/driver/etc", "host/etc");
        assert_int_equal(result, 0);
        assert_plan_has(&found, "HOST/run/nvidia/driver/usr/bin/nvidia-smi /usr/bin/nvidia-smi",
                        true);
}

/* ---- images with something in the way ---- */

static void test_targets_that_are_there(void **state)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all",
                                                 "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
                                                 NULL };
        auto_trial struct trial trial = { .err = ERROR_INIT };

        (void)state;
        put_text("taken/etc/debian_version", "");
        put_link("taken" LIBDIR "/libcuda.so.1", "libcuda.so.470.1");
        put_link("taken" LIBDIR "/libnvidia-ml.so.1", "libnvidia-ml.so." VERSION);
        put_text("taken" LIBDIR "/libnvidia-cfg.so.1", "a file of the image");
        put_text("taken" LIBDIR "/libnvidia-nvvm.so.4/directory", "");
        assert_int_equal(inject(&trial, "taken", variables), 0);
        assert_plan_has(&trial, "link " LIBDIR "/libcuda.so.1 libcuda.so." VERSION, true);
        assert_plan_has(&trial, "link " LIBDIR "/libnvidia-ml.so.1 libnvidia-ml.so." VERSION,
                        false);
        assert_plan_has(&trial,
                        "HOST" LIBDIR "/libnvidia-cfg.so." VERSION " " LIBDIR
                        "/libnvidia-cfg.so.1",
                        true);
        assert_plan_has(&trial,
                        "warning " LIBDIR "/libnvidia-nvvm.so.4 of the image is in the way of a "
                        "link to libnvidia-nvvm.so." VERSION,
                        true);
        /* No cache, so that the linker is told otherwise. */
        assert_plan_has(&trial, "env LD_LIBRARY_PATH=" LIBDIR, true);
}

static void check_compat(const char *image, bool used)
{
        static const char *const variables[] = { "NVIDIA_VISIBLE_DEVICES=all",
                                                 "NVIDIA_DRIVER_CAPABILITIES=compute", NULL };
        auto_trial struct trial trial = { .err = ERROR_INIT };
        const struct mount_entry *last;
        const char *path;

        assert_int_equal(inject(&trial, image, variables), 0);
        last = &trial.injection.mounts.entries[trial.injection.mounts.count - 1];
        assert_string_equal(last->target, "/etc/ld.so.cache");
        path = gpu_ld_cache_find(last->content, last->content_length, "libcuda.so.1");
        assert_string_equal(path, used ? "/usr/local/cuda/compat/libcuda.so.1"
                                       : LIBDIR "/libcuda.so.1");
}

static void put_compat(const char *image, const char *version, const char *note)
{
        auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT, target = STRBUF_INIT;

        strbuf_printf(&path, "%s/etc/debian_version", image);
        put_text(path.data, "");
        strbuf_reset(&path);
        strbuf_printf(&path, "%s/etc/ld.so.cache", image);
        put_cache(path.data);
        strbuf_reset(&path);
        strbuf_printf(&target, "libcuda.so.%s", version);
        strbuf_printf(&path, "%s/usr/local/cuda/compat/libcuda.so.1", image);
        put_link(path.data, target.data);
        strbuf_reset(&path);
        strbuf_printf(&path, "%s/usr/local/cuda/compat/%s", image, target.data);
        if (note)
                append_elf_note(&text, ".note.cuda.fwd_compatibility", "NVIDIA Corporation", note);
        else
                append_elf(&text, NATIVE, "libcuda.so.1");
        put_file(path.data, text.data, text.length);
}

static void test_forward_compatibility(void **state)
{
        (void)state;
        put_compat("newer", "550.54.15", NULL);
        check_compat("newer", true);
        put_compat("older", "525.1.2", NULL);
        check_compat("older", false);
        put_compat("same", "535.200.1", NULL);
        check_compat("same", false);
        put_compat("noted", "550.54.15", "{\"CUDA Version\":\"12.4\",\"Driver\":[470,535]}");
        check_compat("noted", true);
        put_compat("refused", "550.54.15", "{\"CUDA Version\":\"12.4\",\"Driver\":[470]}");
        check_compat("refused", false);
        put_compat("outside", "550.54.15", NULL);
        assert_int_equal(unlink("outside/usr/local/cuda/compat/libcuda.so.550.54.15"), 0);
        put_link("outside/usr/local/cuda/compat/libcuda.so.550.54.15", "/etc/debian_version");
        check_compat("outside", true); /* a file of the image all the same: no note, a newer one */
        assert_int_equal(unlink("outside/usr/local/cuda/compat/libcuda.so.550.54.15"), 0);
        check_compat("outside", false);
}

/* ---- NVML ---- */

static void ask(const char *mode, int timeout, struct nvml_answer *answer, struct error *err,
                int expected)
{
        assert_int_equal(setenv("FAKE_NVML", mode, 1), 0);
        assert_int_equal(nvml_ask(FAKE_NVML, timeout, answer, err), expected);
        assert_int_equal(unsetenv("FAKE_NVML"), 0);
}

static void test_nvml(void **state)
{
        auto_free struct nvml_answer *answer = calloc(1, sizeof(*answer));
        struct error err = ERROR_INIT;

        (void)state;
        assert_non_null(answer);
        ask("noisy", 30000, answer, &err, 0);
        assert_string_equal(answer->cuda_version, "13.2");
        assert_int_equal(answer->gpu_count, 2);
        assert_string_equal(answer->gpus[1].uuid, "GPU-bbbb");
        assert_int_equal(answer->gpus[1].pci.bus, 0x65);
        assert_string_equal(answer->gpus[0].brand, "tesla");
        assert_string_equal(answer->gpus[0].architecture, "8.0");
        assert_int_equal(answer->mig_count, 1);
        assert_string_equal(answer->migs[0].uuid, "MIG-cccc");
        assert_int_equal(answer->migs[0].instance, 2);
        assert_int_equal(answer->migs[0].compute, 1);
        ask("old", 30000, answer, &err, 0);
        assert_int_equal(answer->mig_count, 0);
        ask("cuda=12040", 30000, answer, &err, 0);
        assert_string_equal(answer->cuda_version, "12.4");
}

static void test_nvml_that_does_not_answer(void **state)
{
        auto_free struct nvml_answer *answer = calloc(1, sizeof(*answer));
        struct error err = ERROR_INIT;

        (void)state;
        ask("fail", 30000, answer, &err, -1);
        assert_non_null(strstr(err.message, "cannot be initialised (NVML error 999)"));
        ask("crash", 30000, answer, &err, -1);
        assert_non_null(strstr(err.message, "it crashed"));
        ask("hang", 100, answer, &err, -1);
        assert_int_equal(err.code, ETIMEDOUT);
        assert_int_equal(nvml_ask("/nonexistent/libnvidia-ml.so.1", 30000, answer, &err), -1);
        assert_non_null(strstr(err.message, "cannot open shared object"));
}

/* Where NVML fails, the rest goes on: only what it alone knows is missing. */
static void test_an_injection_without_nvml(void **state)
{
        static const char *const unknown[] = { "NVIDIA_VISIBLE_DEVICES=MIG-cccc", NULL };
        static const char *const brand[] = { "NVIDIA_VISIBLE_DEVICES=0",
                                             "NVIDIA_REQUIRE_X=brand=tesla", NULL };
        auto_trial struct trial first = { .err = ERROR_INIT }, second = { .err = ERROR_INIT };

        (void)state;
        assert_int_equal(setenv("FAKE_NVML", "crash", 1), 0);
        assert_int_equal(inject(&first, "debian", unknown), -1);
        assert_non_null(strstr(first.err.message, "unknown device: MIG-cccc (partitions are known "
                                                  "to the driver's library only, which fails"));
        assert_int_equal(inject(&second, "debian", brand), 0);
        assert_non_null(strstr(second.plan.data, "warning NVIDIA_REQUIRE_X: whether brand=tesla "
                                                 "holds is not known: HOST" LIBDIR));
        assert_int_equal(unsetenv("FAKE_NVML"), 0);
}

/* ---- what does not belong to the above ---- */

static void test_test_roots_and_settings(void **state)
{
        auto_strlist struct strlist environment = STRLIST_INIT;
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };

        (void)state;
        assert_int_equal(gpu_roots_init(&roots, &environment), 0);
        assert_string_equal(roots.driver, "");
        assert_string_equal(roots.dev, "");
        gpu_roots_release(&roots);
        assert_int_equal(env_set(&environment, GPU_TEST_ROOT, "relative"), 0);
        assert_int_equal(env_set(&environment, GPU_DRIVER_ROOT, "/run/driver//"), 0);
        assert_int_equal(gpu_roots_init(&roots, &environment), 0);
        assert_string_equal(roots.driver, "/run/driver");
        assert_string_equal(roots.dev, "");
}

/* The fake library stands for the driver's own, which is loaded by its path on the host. */
static int set_up_nvml(void **state)
{
        if (set_up(state) < 0)
                return -1;
        if (unlink("host" LIBDIR "/libnvidia-ml.so." VERSION) < 0)
                return -1;
        put_link("host" LIBDIR "/libnvidia-ml.so." VERSION, FAKE_NVML);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_combination_of_capabilities),
                cmocka_unit_test(test_the_whole_plan_of_utility),
                cmocka_unit_test(test_names_for_linking),
                cmocka_unit_test(test_devices_in_every_form),
                cmocka_unit_test(test_partitions_get_their_nodes),
                cmocka_unit_test(test_the_host_counts_first),
                cmocka_unit_test(test_optional_devices),
                cmocka_unit_test(test_requirements_of_images),
                cmocka_unit_test(test_old_images_on_request),
                cmocka_unit_test(test_diagnosis),
                cmocka_unit_test(test_cuda_without_compute),
                cmocka_unit_test(test_a_driver_without_a_cache),
                cmocka_unit_test(test_a_driver_in_another_root),
                cmocka_unit_test(test_targets_that_are_there),
                cmocka_unit_test(test_forward_compatibility),
                cmocka_unit_test(test_nvml),
                cmocka_unit_test(test_nvml_that_does_not_answer),
                cmocka_unit_test(test_an_injection_without_nvml),
                cmocka_unit_test(test_test_roots_and_settings),
                cmocka_unit_test(test_hardware_without_a_driver),
        };

        return cmocka_run_group_tests_name("nvidia", tests, set_up_nvml, tear_down);
}
