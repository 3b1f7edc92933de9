/* gpu/: what is read of drivers, libraries and linker caches, bad input included. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "gpu/elf_file.h"
#include "gpu/ld_cache.h"
#include "gpu/nvidia.h"
#include "gpu/requirement.h"
#include "util/io.h"

static void test_nvidia_version(void **state)
{
        static const struct {
                const char *text, *version;
        } cases[] = {
                { "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19\n"
                  "GCC version:  gcc version 12.2.0",
                  "535.129.03" },
                { "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release",
                  "560.35.03" },
                { "NVRM version: NVIDIA UNIX x86_64\nGCC version:  12.2.0", NULL },
                { "1 2 a3.4", NULL },
                { "", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char version[16] = "";

                assert_int_equal(gpu_nvidia_version_parse(cases[i].text, version,
                                                          sizeof(version)),
                                 cases[i].version != NULL);
                if (cases[i].version)
                        assert_string_equal(version, cases[i].version);
        }
}

/* ---- requirements ---- */

static void test_requirements(void **state)
{
        static const struct requirement_facts known = {
                .cuda = "12.2", .driver = "535.129.03", .architecture = "8.0", .brand = "tesla",
        };
        static const struct requirement_facts bound = { .driver = "999.1",
                                                        .cuda_at_least = "13.1" };
        static const struct requirement_facts none = { .driver = "535.1", .no_gpu = true };
        static const struct {
                const struct requirement_facts *facts;
                const char *text;
                int result; /* -1: malformed */
                const char *condition;
        } cases[] = {
                { &known, "", REQUIREMENT_MET, "" },
                { &known, "  \t ", REQUIREMENT_MET, "" },
                { &known, "cuda>=12.2", REQUIREMENT_MET, "" },
                { &known, "cuda>=12.4", REQUIREMENT_UNMET, "cuda>=12.4" },
                { &known, "cuda>=9.2", REQUIREMENT_MET, "" },
                { &known, "cuda<12.10", REQUIREMENT_MET, "" },
                { &known, "cuda<=12.2.0", REQUIREMENT_MET, "" },
                { &known, "cuda=12", REQUIREMENT_UNMET, "cuda=12" },
                { &known, "cuda!=12", REQUIREMENT_MET, "" },
                { &known, "cuda>12.2", REQUIREMENT_UNMET, "cuda>12.2" },
                { &known, "driver>=470,driver<471", REQUIREMENT_UNMET, "driver<471" },
                { &known, "driver>=535.129.03", REQUIREMENT_MET, "" },
                { &known, "driver>=535.129.4", REQUIREMENT_UNMET, "driver>=535.129.4" },
                { &known, "arch>=7.5,brand=Tesla", REQUIREMENT_MET, "" },
                { &known, "brand!=tesla", REQUIREMENT_UNMET, "brand!=tesla" },
                { &known, "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=tesla,driver>=535",
                  REQUIREMENT_MET, "" },
                { &known, "cuda>=12.4 brand=grid,driver>=470", REQUIREMENT_UNMET, "cuda>=12.4" },
                { &bound, "cuda>=12.4", REQUIREMENT_MET, "" },
                { &bound, "cuda>=14", REQUIREMENT_UNKNOWN, "cuda>=14" },
                { &bound, "cuda<13", REQUIREMENT_UNMET, "cuda<13" },
                { &bound, "cuda<=13.1", REQUIREMENT_UNKNOWN, "cuda<=13.1" },
                { &bound, "brand=tesla", REQUIREMENT_UNKNOWN, "brand=tesla" },
                { &bound, "brand=tesla,driver<2", REQUIREMENT_UNMET, "driver<2" },
                { &bound, "brand=tesla driver<2", REQUIREMENT_UNKNOWN, "brand=tesla" },
                { &none, "brand=tesla,arch>9", REQUIREMENT_MET, "" },
                { &none, "cuda>=12", REQUIREMENT_UNKNOWN, "cuda>=12" },
                { &known, "cuda", -1, NULL },
                { &known, "cuda>=", -1, NULL },
                { &known, "cuda>=x", -1, NULL },
                { &known, "cuda>=12.", -1, NULL },
                { &known, "cuda>=.1", -1, NULL },
                { &known, "cuda=>12", -1, NULL },
                { &known, "toolkit>=12", -1, NULL },
                { &known, "cuda>=12,", -1, NULL },
                { &known, ",cuda>=12", -1, NULL },
                { &known, "brand>tesla", -1, NULL },
                { &known, "cuda>=12.4 nonsense", -1, NULL },
                { &known,
                  "driver>=11111111111111111111111111111111111111111111111111111111111111111", -1,
                  NULL },
                { &known, "driver<99999999999999999999999999999999", REQUIREMENT_MET, "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char condition[REQUIREMENT_CONDITION_SIZE];
                enum requirement_result result = REQUIREMENT_MET;
                struct error err = ERROR_INIT;
                int returned = requirement_evaluate(cases[i].text, cases[i].facts, &result,
                                                    condition, &err);

                print_message("%s\n", cases[i].text);
                if (cases[i].result < 0) {
                        assert_int_equal(returned, -1);
                        assert_non_null(strstr(err.message, "invalid expression"));
                        continue;
                }
                assert_int_equal(returned, 0);
                assert_int_equal(result, cases[i].result);
                assert_string_equal(condition, cases[i].condition);
        }
}

static void test_cuda_of_drivers(void **state)
{
        static const struct {
                const char *driver, *cuda;
                bool exact;
        } cases[] = {
                { "535.129.03", "12.2", true }, { "550.54.15", "12.4", true },
                { "572.16", "12.8", true },     { "470.256.02", "11.4", true },
                { "384.111", "9.0", true },     { "999.88.77", "13.1", false },
                { "340.1", NULL, false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                bool exact = false;
                const char *cuda = nvidia_cuda_version(cases[i].driver, &exact);

                assert_int_equal(cuda != NULL, cases[i].cuda != NULL);
                if (cuda)
                        assert_string_equal(cuda, cases[i].cuda);
                assert_int_equal(exact, cases[i].exact);
        }
}

/* ---- capabilities ---- */

static void test_capabilities(void **state)
{
        static const struct {
                const char *text;
                unsigned int capabilities;
        } good[] = {
                { NULL, NVIDIA_UTILITY },
                { "compute", NVIDIA_COMPUTE },
                { "compute,utility", NVIDIA_COMPUTE | NVIDIA_UTILITY },
                { "video,,display, ngx", NVIDIA_VIDEO | NVIDIA_DISPLAY | NVIDIA_NGX },
                { "graphics,compat32", NVIDIA_GRAPHICS | NVIDIA_COMPAT32 },
                { "utility,all", 0x7f },
        };
        static const char *const bad[] = { "computer", "compute,gpu", "ALL", "comput" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                struct error err = ERROR_INIT;
                unsigned int capabilities;

                assert_int_equal(nvidia_capabilities_parse(good[i].text, &capabilities, &err), 0);
                assert_int_equal(capabilities, good[i].capabilities);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct error err = ERROR_INIT;
                unsigned int capabilities;

                assert_int_equal(nvidia_capabilities_parse(bad[i], &capabilities, &err), -1);
                assert_non_null(strstr(err.message, strrchr(bad[i], ',') ? "gpu" : bad[i]));
        }
}

/* ---- procfs ---- */

static void test_information(void **state)
{
        struct nvidia_gpu gpu = { .minor = 7 };

        (void)state;
        nvidia_information_parse("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\n"
                                 "GPU UUID: \t GPU-1234\nDMA Size: \t 52 bits\n"
                                 "Device Minor: \t 3\nGPU Firmware: \t 535\n"
                                 "GPU Excluded:\t Yes\n",
                                 &gpu);
        assert_string_equal(gpu.model, "NVIDIA H100 80GB HBM3");
        assert_string_equal(gpu.uuid, "GPU-1234");
        assert_int_equal(gpu.minor, 3);
        assert_true(gpu.excluded);
        nvidia_information_parse("Device Minor: \t 999\nGPU UUID\nGPU UUID:", &gpu);
        assert_int_equal(gpu.minor, -1);
        nvidia_information_parse("Device Minor: \t -1", &gpu);
        assert_int_equal(gpu.minor, -1);
        nvidia_information_parse("", &gpu);
}

static void test_pci_addresses(void **state)
{
        static const struct {
                const char *text;
                bool valid;
                struct nvidia_pci pci;
        } cases[] = {
                { "0000:17:00.0", true, { 0, 0x17, 0, 0 } },
                { "00000001:B3:1f.7", true, { 1, 0xb3, 0x1f, 7 } },
                { "65:00.0", true, { 0, 0x65, 0, 0 } },
                { "65:00", false, { 0 } },
                { "0000:17:00.0x", false, { 0 } },
                { "0:1", false, { 0 } },
                { "0000:17:20.0", false, { 0 } },
                { "0000:17:00.8", false, { 0 } },
                { "GPU-1", false, { 0 } },
                { "", false, { 0 } },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct nvidia_pci pci;

                assert_int_equal(nvidia_pci_parse(cases[i].text, &pci), cases[i].valid);
                if (cases[i].valid)
                        assert_true(nvidia_pci_is_equal(&pci, &cases[i].pci));
        }
}

/* ---- ELF ---- */

static struct elf_file in_memory(const struct strbuf *text)
{
        return (struct elf_file){
                .read = elf_read_memory,
                .memory = text->data,
                .size = text->length,
        };
}

static void test_sonames(void **state)
{
        static const struct {
                uint16_t machine;
                const char *soname;
                unsigned int flags;
        } cases[] = {
                { EM_X86_64, "libcuda.so.1", 0x0303 }, { EM_386, "libcuda.so.1", 0x0003 },
                { EM_AARCH64, "libx.so", 0x0a03 },     { EM_ARM, NULL, 0x0903 },
                { EM_X86_64, "../evil.so", 0x0303 },   { EM_X86_64, "..", 0x0303 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct elf_library library;
                struct elf_file file;
                bool usable = cases[i].soname && cases[i].soname[0] != '.';

                append_elf(&text, cases[i].machine, cases[i].soname);
                file = in_memory(&text);
                assert_true(elf_read_library(&file, &library));
                assert_string_equal(library.soname, usable ? cases[i].soname : "");
                assert_int_equal(elf_cache_flags(&library), cases[i].flags);
                /* Cut short anywhere, it is no library, or one without a name. */
                for (file.size = 0; file.size < text.length; file.size++)
                        if (elf_read_library(&file, &library) && library.soname[0])
                                assert_string_equal(library.soname, cases[i].soname);
        }
}

static void test_notes(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT, note = STRBUF_INIT;
        struct elf_file file;

        (void)state;
        append_elf_note(&text, ".note.cuda.fwd_compatibility", "NVIDIA Corporation", "{\"a\":1}");
        file = in_memory(&text);
        assert_int_equal(elf_read_note(&file, ".note.other", "NVIDIA Corporation", &note), 0);
        assert_int_equal(elf_read_note(&file, ".note.cuda.fwd_compatibility", "Somebody", &note),
                         0);
        assert_int_equal(elf_read_note(&file, ".note.cuda.fwd_compatibility", "NVIDIA Corporation",
                                       &note),
                         1);
        assert_string_equal(strbuf_text(&note), "{\"a\":1}");
        for (file.size = 0; file.size < text.length; file.size++) {
                strbuf_reset(&note);
                assert_true(elf_read_note(&file, ".note.cuda.fwd_compatibility",
                                          "NVIDIA Corporation", &note) >= 0);
        }
}

static void test_compatibility(void **state)
{
        static const struct {
                const char *note, *driver, *compat, *cuda;
                bool allowed;
        } cases[] = {
                { "{\"CUDA Version\":\"12.4\",\"Driver\":[470,535]}", "535.1", "550.54.15", "12.2",
                  true },
                { "{\"CUDA Version\":\"12.4\",\"Driver\":[\"470\",\"535\"]}", "470.1", "550.54.15",
                  "11.4", true },
                { "{\"CUDA Version\":\"12.4\",\"Driver\":[470,535]}", "525.1", "550.54.15", "12.0",
                  false },
                { "{\"CUDA Version\":\"12.4\",\"Driver\":[550]}", "550.90.07", "550.54.15", "12.4",
                  false },
                { "{\"CUDA Version\":\"12.4\"}", "535.1", "550.54.15", "12.2", true },
                { "{\"CUDA Version\":\"12.4\"}", "570.1", "550.54.15", "12.8", false },
                { "{\"CUDA Version\":12.4}", "535.1", "550.54.15", "12.2", false },
                { "{}", "535.1", "550.54.15", "12.2", false },
                { "[]", "535.1", "550.54.15", "12.2", false },
                { "", "535.1", "550.54.15", NULL, false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(nvidia_compat_allows(cases[i].note, strlen(cases[i].note),
                                                      cases[i].driver, cases[i].compat,
                                                      cases[i].cuda),
                                 cases[i].allowed);
}

/* ---- ld.so.cache ---- */

#define NATIVE ld_cache_native_flags
#define COMPAT ld_cache_compat_flags

static void check_path(const struct strbuf *cache, const char *name, const char *path)
{
        const char *found = gpu_ld_cache_find(strbuf_text(cache), cache->length, name);

        if (path)
                assert_string_equal(found, path);
        else
                assert_null(found);
}

static void test_cache_lookup(void **state)
{
        const struct cache_line lines[] = {
                { COMPAT, "libcuda.so.1", "/usr/lib/i386-linux-gnu/libcuda.so.1" },
                { NATIVE, "libcuda.so.1", "/usr/lib/libcuda.so.1" },
                { NATIVE, "libc.so.6", "/lib/libc.so.6" },
        };
        auto_strbuf struct strbuf text = STRBUF_INIT, old = STRBUF_INIT;
        const uint32_t one = 1;

        (void)state;
        append_cache(&text, lines, ARRAY_SIZE(lines));
        check_path(&text, "libcuda.so.1", "/usr/lib/libcuda.so.1");
        check_path(&text, "libcuda.so", NULL);
        check_path(&text, "/usr/lib/libcuda.so.1", NULL);
        /* The section of before glibc 2.2 in front: one entry, and padding to 8 bytes. */
        strbuf_append_mem(&old, "ld.so-1.7.0\0", 12);
        strbuf_append_mem(&old, &one, sizeof(one));
        strbuf_append_mem(&old, "123456789012", 12);
        strbuf_append_mem(&old, "\0\0\0\0", 4);
        strbuf_append_mem(&old, text.data, text.length);
        check_path(&old, "libcuda.so.1", "/usr/lib/libcuda.so.1");
        for (size_t length = 0; length < text.length; length++)
                (void)gpu_ld_cache_find(text.data, length, "libcuda.so.1");
        text.data[20] = text.data[21] = text.data[22] = text.data[23] = (char)0xff;
        check_path(&text, "libcuda.so.1", NULL);
}

static void add_to(const struct strbuf *text, const struct gpu_library *libraries, size_t count,
                   struct strbuf *ret)
{
        struct ld_cache cache;

        assert_true(ld_cache_parse(strbuf_text(text), text->length, &cache));
        assert_int_equal(ld_cache_add(&cache, libraries, count, ret), 1);
}

static void test_cache_addition(void **state)
{
        const struct cache_line lines[] = {
                { NATIVE, "libz.so.1", "/lib/libz.so.1" },
                { NATIVE, "libcuda.so.1", "/usr/local/cuda/compat/libcuda.so.1" },
                { COMPAT, "libcuda.so.1", "/usr/lib32/libcuda.so.1" },
                { NATIVE, "libc.so.6", "/lib/libc.so.6" },
        };
        const struct gpu_library libraries[] = {
                { (char *)"libnvidia-ml.so.1", (char *)"/usr/lib64/libnvidia-ml.so.535.1", NULL,
                  NATIVE },
                { (char *)"libcuda.so.1", (char *)"/usr/lib64/libcuda.so.535.1", NULL, NATIVE },
                { (char *)"libcuda.so.1", (char *)"/other/libcuda.so.535.1", NULL, NATIVE },
                { NULL, (char *)"/usr/lib64/nameless.so", NULL, NATIVE },
        };
        static const char *const order[] = { "libz.so.1", "libnvidia-ml.so.1", "libcuda.so.1",
                                             "libcuda.so.1", "libc.so.6" };
        auto_strbuf struct strbuf text = STRBUF_INIT, made = STRBUF_INIT, none = STRBUF_INIT;
        struct ld_cache cache;

        (void)state;
        append_cache(&text, lines, ARRAY_SIZE(lines));
        add_to(&text, libraries, ARRAY_SIZE(libraries), &made);
        check_path(&made, "libcuda.so.1", "/usr/lib64/libcuda.so.1");
        check_path(&made, "libnvidia-ml.so.1", "/usr/lib64/libnvidia-ml.so.1");
        check_path(&made, "libc.so.6", "/lib/libc.so.6");
        check_path(&made, "libz.so.1", "/lib/libz.so.1");
        assert_true(ld_cache_parse(made.data, made.length, &cache));
        assert_int_equal(cache.count, ARRAY_SIZE(order));
        for (uint32_t i = 0; i < cache.count; i++) {
                struct ld_cache_entry entry;

                assert_true(ld_cache_entry_at(&cache, i, &entry));
                assert_string_equal(entry.name, order[i]);
        }
        append_cache(&none, NULL, 0);
        add_to(&none, libraries, 1, &made);
        check_path(&made, "libnvidia-ml.so.1", "/usr/lib64/libnvidia-ml.so.1");
}

static void test_cache_that_is_malformed(void **state)
{
        const struct cache_line lines[] = { { NATIVE, "libc.so.6", "/lib/libc.so.6" } };
        const struct gpu_library library = { (char *)"libcuda.so.1", (char *)"/l/libcuda.so.1",
                                             NULL, NATIVE };
        auto_strbuf struct strbuf text = STRBUF_INIT, made = STRBUF_INIT;
        struct ld_cache cache;

        (void)state;
        append_cache(&text, lines, 1);
        assert_false(ld_cache_parse("", 0, &cache));
        for (size_t at = 48; at < 48 + 24; at++) {
                char kept = text.data[at];

                text.data[at] = (char)0xee; /* a string's offset, among other things */
                assert_true(ld_cache_parse(text.data, text.length, &cache));
                assert_true(ld_cache_add(&cache, &library, 1, &made) >= 0);
                text.data[at] = kept;
        }
        for (size_t at = 32; at < 36; at++) { /* extensions that lead nowhere */
                text.data[at] = 0x7f;
                assert_true(ld_cache_parse(text.data, text.length, &cache));
                assert_int_equal(ld_cache_add(&cache, &library, 1, &made), 0);
        }
}

/* The cache of this machine, with extensions: glibc's own ldconfig reads what comes out. */
static void test_cache_of_this_machine(void **state)
{
        const struct gpu_library library = {
                (char *)"libenroot-test.so.1", (char *)"/nowhere/libenroot-test.so.1.2", NULL,
                NATIVE,
        };
        auto_strbuf struct strbuf text = STRBUF_INIT, made = STRBUF_INIT, printed = STRBUF_INIT;
        char path[] = "/tmp/enroot-test-cache-XXXXXX", command[128];
        struct error err = ERROR_INIT;
        struct ld_cache cache;
        auto_close int fd = -1;
        FILE *listing;
        int c;

        (void)state;
        if (io_read_file(-1, "/etc/ld.so.cache", LD_CACHE_LIMIT, &text, &err) < 0 ||
            access("/sbin/ldconfig", X_OK) < 0) {
                print_message("skipped: no ld.so.cache, or no ldconfig\n");
                skip();
        }
        assert_true(ld_cache_parse(text.data, text.length, &cache));
        assert_int_equal(ld_cache_add(&cache, &library, 1, &made), 1);
        fd = mkstemp(path);
        assert_int_equal(io_write_full(fd, made.data, made.length), 0);
        (void)snprintf(command, sizeof(command), "/sbin/ldconfig -p -C %s 2>&1", path);
        listing = popen(command, "re");
        assert_non_null(listing);
        while ((c = fgetc(listing)) != EOF)
                strbuf_append_char(&printed, (char)c);
        assert_int_equal(pclose(listing), 0);
        (void)unlink(path);
        assert_non_null(strstr(strbuf_text(&printed), "=> /nowhere/libenroot-test.so.1\n"));
        assert_non_null(strstr(strbuf_text(&printed), "libc.so.6"));
        assert_int_equal(strtol(printed.data, NULL, 10), cache.count + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nvidia_version),
                cmocka_unit_test(test_requirements),
                cmocka_unit_test(test_cuda_of_drivers),
                cmocka_unit_test(test_capabilities),
                cmocka_unit_test(test_information),
                cmocka_unit_test(test_pci_addresses),
                cmocka_unit_test(test_sonames),
                cmocka_unit_test(test_notes),
                cmocka_unit_test(test_compatibility),
                cmocka_unit_test(test_cache_lookup),
                cmocka_unit_test(test_cache_addition),
                cmocka_unit_test(test_cache_that_is_malformed),
                cmocka_unit_test(test_cache_of_this_machine),
        };

        return cmocka_run_group_tests_name("nvidia parsers", tests, NULL, NULL);
}
