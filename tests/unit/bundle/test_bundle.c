/* bundle/: what is written is read, what is damaged is refused, the same input gives the same. */
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
#include <unistd.h>

#include <cmocka.h>

#include "bundle/bundle.h"
#include "util/cleanup.h"
#include "util/path.h"

#define RUNTIME_SIZE 5003 /* of the program below, with its section headers */
#define IMAGE_SIZE   70001

static char scratch[] = "/tmp/enroot-test-bundle-XXXXXX";

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(scratch) ? 0 : -1;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

/* A bundle with everything, but for the image. */
static void fill(struct bundle *bundle)
{
        *bundle = (struct bundle){
                .image_size = IMAGE_SIZE,
                .content_size = 3000,
                .description = strdup("two\nlines"),
                .target = strdup("${HOME}/target"),
                .version = strdup("1"),
                .image = strdup("image.sqsh"),
                .architecture = strdup("amd64"),
                .compression = strdup("zstd"),
        };
        assert_int_equal(strlist_append(&bundle->settings, "ENROOT_A=b=c"), 0);
        assert_int_equal(strlist_append(&bundle->settings, "ENROOT_EMPTY="), 0);
        assert_int_equal(bundle_add_file(bundle, "etc/system/hooks.d", false, NULL, 0), 0);
        assert_int_equal(bundle_add_file(bundle, "etc/system/hooks.d/a.sh", true, "a\0b", 3), 0);
        assert_int_equal(bundle_add_file(bundle, "lib/empty", false, "", 0), 0);
}

static void encode(struct strbuf *text)
{
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        struct error err = ERROR_INIT;

        fill(&bundle);
        assert_int_equal(bundle_encode(&bundle, RUNTIME_SIZE, text, &err), 0);
}

/* ---- format ---- */

static void test_round_trip(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT, again = STRBUF_INIT;
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        struct error err = ERROR_INIT;
        uint32_t records;

        (void)state;
        encode(&text);
        encode(&again);
        assert_int_equal(text.length, again.length);
        assert_memory_equal(text.data, again.data, text.length);

        assert_int_equal(bundle_decode_head(text.data, text.length, &bundle, &records, &err), 0);
        assert_int_equal(records, text.length - BUNDLE_HEAD_SIZE);
        assert_int_equal(bundle_decode(text.data, text.length, &bundle, &err), 0);
        assert_int_equal(bundle.image_offset, 65536);
        assert_int_equal(bundle.image_size, IMAGE_SIZE);
        assert_int_equal(bundle.content_size, 3000);
        assert_false(bundle.has_checksum);
        assert_string_equal(bundle.description, "two\nlines");
        assert_string_equal(bundle.compression, "zstd");
        assert_int_equal(bundle.settings.count, 2);
        assert_string_equal(bundle.settings.items[0], "ENROOT_A=b=c");
        assert_string_equal(bundle.settings.items[1], "ENROOT_EMPTY=");
        assert_int_equal(bundle.file_count, 3);
        assert_true(bundle.files[0].directory);
        assert_true(bundle.files[1].executable);
        assert_int_equal(bundle.files[1].size, 3);
        assert_memory_equal(bundle.files[1].data, "a\0b", 3);
        assert_false(bundle.files[2].directory);
}

/* Every byte changed and every length: a damaged bundle is refused or is another bundle. */
static void test_damage(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        (void)state;
        encode(&text);
        for (size_t length = 0; length < text.length; length++) {
                auto_bundle struct bundle bundle = BUNDLE_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(bundle_decode(text.data, length, &bundle, &err), -1);
                assert_int_equal(err.code, EBADMSG);
        }
        for (size_t i = 0; i < text.length; i++)
                for (unsigned int bit = 0; bit < 8; bit++) {
                        auto_bundle struct bundle bundle = BUNDLE_INIT;
                        struct error err = ERROR_INIT;

                        text.data[i] ^= (char)(1 << bit);
                        if (bundle_decode(text.data, text.length, &bundle, &err) < 0)
                                assert_int_equal(err.code, EBADMSG);
                        text.data[i] ^= (char)(1 << bit);
                }
}

/* What a bundle cannot have, each put in the place of something of the same length. */
static void test_refused(void **state)
{
        static const struct {
                const char *from, *to, *says;
        } cases[] = {
                { "enroot bundle 1", "enroot bundle 2", "no head" },
                { "lib/empty", "../empty\1", "a file that it cannot have" },
                { "lib/empty", "lib//mpty", "a file that it cannot have" },
                { "lib/empty", "lib/../mp", "a file that it cannot have" },
                { "lib/empty", "/ib/empty", "a file that it cannot have" },
                { "ENROOT_A", "LD_PRELO", "a setting that it cannot have" },
                { "ENROOT_A", "ENROOT_=", "a setting that it cannot have" },
                { "description", "descriptiom", "a text that it cannot have" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                auto_bundle struct bundle bundle = BUNDLE_INIT;
                struct error err = ERROR_INIT;
                char *found;

                encode(&text);
                found = memmem(text.data, text.length, cases[i].from, strlen(cases[i].from));
                assert_non_null(found);
                memcpy(found, cases[i].to, strlen(cases[i].from));
                assert_int_equal(bundle_decode(text.data, text.length, &bundle, &err), -1);
                assert_int_equal(err.code, EBADMSG);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("%s: %s", cases[i].to, err.message);
        }
}

static void make_elf(unsigned char data[RUNTIME_SIZE], bool big_endian)
{
        Elf64_Ehdr elf = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB } };

        elf.e_shoff = RUNTIME_SIZE - 128;
        elf.e_shentsize = 64;
        elf.e_shnum = 2;
        if (big_endian) {
                elf.e_ident[EI_DATA] = ELFDATA2MSB;
                elf.e_shoff = __builtin_bswap64(elf.e_shoff);
                elf.e_shentsize = __builtin_bswap16(elf.e_shentsize);
                elf.e_shnum = __builtin_bswap16(elf.e_shnum);
        }
        memset(data, 'r', RUNTIME_SIZE);
        memcpy(data, &elf, sizeof(elf));
}

static void test_runtime_size(void **state)
{
        unsigned char data[RUNTIME_SIZE];
        struct error err = ERROR_INIT;
        uint64_t size = 0;

        (void)state;
        for (int big = 0; big < 2; big++) {
                make_elf(data, big);
                assert_int_equal(bundle_runtime_size(data, sizeof(data), &size, &err), 0);
                assert_int_equal(size, RUNTIME_SIZE);
        }
        assert_int_equal(bundle_runtime_size(data, 10, &size, &err), -1);
        data[EI_CLASS] = ELFCLASS32;
        assert_int_equal(bundle_runtime_size(data, sizeof(data), &size, &err), -1);
        make_elf(data, false);
        memset(data + offsetof(Elf64_Ehdr, e_shoff), 0xff, 8);
        assert_int_equal(bundle_runtime_size(data, sizeof(data), &size, &err), -1);
}

static void test_print(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        fill(&bundle);
        bundle.image_offset = 65536;
        assert_int_equal(bundle_print(&bundle, &text, &err), 0);
        assert_string_equal(strbuf_text(&text),
                            "Compression: zstd\nDescription: two\nlines\nRuntime version: 1\n"
                            "Target directory: ${HOME}/target\nUncompressed size: 3 KB\n"
                            "Image: image.sqsh (linux/amd64, 70001 bytes)\n"
                            "Bundle size: 135537 bytes\n");
}

/* ---- files ---- */

static int make_file(const char *name, const void *data, size_t size)
{
        auto_free char *path = path_join(scratch, name);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, data, size, 0), size);
        return fd;
}

static int write_sample(const char *name, bool checksum)
{
        static char image[IMAGE_SIZE];
        unsigned char runtime[RUNTIME_SIZE];
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        auto_close int runtime_fd = -1, image_fd = -1;
        struct error err = ERROR_INIT;
        int fd = make_file(name, "", 0);

        make_elf(runtime, false);
        memset(image, 'i', sizeof(image));
        runtime_fd = make_file("runtime", runtime, sizeof(runtime));
        image_fd = make_file("image", image, sizeof(image));
        fill(&bundle);
        bundle.has_checksum = checksum;
        if (bundle_write(fd, runtime_fd, image_fd, &bundle, &err) < 0)
                fail_msg("%s", err.message);
        return fd;
}

static void test_file(void **state)
{
        (void)state;
        for (int checksum = 0; checksum < 2; checksum++) {
                auto_close int fd = write_sample("bundle", checksum);
                auto_bundle struct bundle bundle = BUNDLE_INIT;
                struct error err = ERROR_INIT;
                char byte = 0;

                assert_int_equal(bundle_read(fd, &bundle, &err), 0);
                assert_int_equal(bundle.image_offset, 65536);
                assert_int_equal(bundle.image_size, IMAGE_SIZE);
                assert_int_equal(strlen(bundle.checksum), checksum ? 64 : 0);
                assert_int_equal(pread(fd, &byte, 1, 65536), 1);
                assert_int_equal(byte, 'i');
                assert_int_equal(bundle_verify(fd, &bundle, &err), 0);

                assert_int_equal(pwrite(fd, "x", 1, 65536 + 70000), 1);
                assert_int_equal(bundle_verify(fd, &bundle, &err), checksum ? -1 : 0);
                assert_int_equal(ftruncate(fd, 65536 + 70000), 0);
                bundle_release(&bundle);
                assert_int_equal(bundle_read(fd, &bundle, &err), -1);
                assert_non_null(strstr(err.message, "it has 135536 of 135537 bytes"));
        }
}

static void test_no_bundle(void **state)
{
        unsigned char runtime[RUNTIME_SIZE];
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        struct error err = ERROR_INIT;
        auto_close int fd = -1, cut = -1;

        (void)state;
        make_elf(runtime, false);
        fd = make_file("alone", runtime, sizeof(runtime));
        assert_int_equal(bundle_read(fd, &bundle, &err), -1);
        assert_int_equal(err.code, ENOEXEC);
        cut = make_file("cut", runtime, sizeof(runtime) - 100);
        assert_int_equal(bundle_read(cut, &bundle, &err), -1);
        assert_int_equal(err.code, EBADMSG);
}

static void test_trees(void **state)
{
        auto_free char *source = path_join(scratch, "source"),
                       *target = path_join(scratch, "target");
        auto_bundle struct bundle bundle = BUNDLE_INIT;
        struct error err = ERROR_INIT;
        auto_close int dir = -1, from = -1, hook = -1, text = -1;
        struct stat st;

        (void)state;
        assert_int_equal(bundle_add_tree(&bundle, source, "etc/system/hooks.d", &err), 0);
        assert_int_equal(bundle.file_count, 0);
        assert_int_equal(mkdir(source, 0755), 0);
        from = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        hook = make_file("source/b.sh", "hook", 4);
        text = make_file("source/a", "text", 4);
        assert_int_equal(fchmod(text, 0600), 0);
        assert_int_equal(symlinkat("b.sh", from, "link"), 0);
        assert_int_equal(bundle_add_tree(&bundle, source, "etc/system/hooks.d", &err), 0);
        assert_int_equal(bundle.file_count, 4);
        assert_string_equal(bundle.files[1].path, "etc/system/hooks.d/a");

        assert_int_equal(mkdir(target, 0755), 0);
        dir = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(bundle_lay_down(&bundle, dir, &err), 0);
        assert_int_equal(fstatat(dir, "etc/system/hooks.d/link", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode) && st.st_mode & S_IXUSR);
        assert_int_equal(fstatat(dir, "etc/system/hooks.d/a", &st, 0), 0);
        assert_false(st.st_mode & S_IXUSR);
        assert_int_equal(bundle_lay_down(&bundle, dir, &err), -1);
        assert_int_equal(err.code, EEXIST);

        assert_int_equal(symlinkat(".", from, "loop"), 0);
        assert_int_equal(bundle_add_tree(&bundle, source, "x", &err), -1);
        assert_int_equal(err.code, ELOOP);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_damage),
                cmocka_unit_test(test_refused),      cmocka_unit_test(test_runtime_size),
                cmocka_unit_test(test_print),        cmocka_unit_test(test_file),
                cmocka_unit_test(test_no_bundle),    cmocka_unit_test(test_trees),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
