#include "files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/io.h"
#include "util/path.h"

static void make_parent(const char *path)
{
        char name[NAME_MAX + 1];
        auto_close int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        auto_close int parent = path_open_parent(here, path, true, name);

        assert_true(parent >= 0);
}

void put_file(const char *path, const void *content, size_t size)
{
        auto_close int fd = -1;

        make_parent(path);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, content, size), 0);
}

void put_text(const char *path, const char *text)
{
        put_file(path, text, strlen(text));
}

void put_link(const char *path, const char *target)
{
        make_parent(path);
        assert_int_equal(symlink(target, path), 0);
}

/* ---- ELF ---- */

void append_elf(struct strbuf *file, uint16_t machine, const char *soname)
{
        struct {
                Elf64_Ehdr header;
                Elf64_Phdr segments[2];
                Elf64_Dyn dynamic[3];
                char names[64];
        } wide = {
                .header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
                            .e_type = ET_DYN,
                            .e_machine = machine,
                            .e_phoff = offsetof(__typeof__(wide), segments),
                            .e_phentsize = sizeof(Elf64_Phdr),
                            .e_phnum = 2 },
                .segments = { { .p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(wide) },
                              { .p_type = PT_DYNAMIC,
                                .p_offset = offsetof(__typeof__(wide), dynamic),
                                .p_filesz = sizeof(wide.dynamic) } },
                .dynamic = { { .d_tag = DT_STRTAB,
                               .d_un.d_ptr = 0x1000 + offsetof(__typeof__(wide), names) },
                             { .d_tag = soname ? DT_SONAME : DT_DEBUG, .d_un.d_val = 1 } },
        };
        struct {
                Elf32_Ehdr header;
                Elf32_Phdr segments[2];
                Elf32_Dyn dynamic[3];
                char names[64];
        } narrow = {
                .header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB },
                            .e_type = ET_DYN,
                            .e_machine = machine,
                            .e_phoff = offsetof(__typeof__(narrow), segments),
                            .e_phentsize = sizeof(Elf32_Phdr),
                            .e_phnum = 2 },
                .segments = { { .p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(narrow) },
                              { .p_type = PT_DYNAMIC,
                                .p_offset = offsetof(__typeof__(narrow), dynamic),
                                .p_filesz = sizeof(narrow.dynamic) } },
                .dynamic = { { .d_tag = DT_STRTAB,
                               .d_un.d_ptr = 0x1000 + offsetof(__typeof__(narrow), names) },
                             { .d_tag = soname ? DT_SONAME : DT_DEBUG, .d_un.d_val = 1 } },
        };

        (void)snprintf(wide.names + 1, sizeof(wide.names) - 1, "%s", soname ? soname : "");
        (void)snprintf(narrow.names + 1, sizeof(narrow.names) - 1, "%s", soname ? soname : "");
        if (machine == EM_386 || machine == EM_ARM)
                strbuf_append_mem(file, &narrow, sizeof(narrow));
        else
                strbuf_append_mem(file, &wide, sizeof(wide));
        assert_false(file->failed);
}

void append_elf_note(struct strbuf *file, const char *section, const char *owner, const char *note)
{
        struct {
                Elf64_Ehdr header;
                Elf64_Shdr sections[3];
                char names[64];
        } elf = {
                .header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
                            .e_type = ET_DYN,
                            .e_machine = EM_X86_64,
                            .e_shoff = offsetof(__typeof__(elf), sections),
                            .e_shentsize = sizeof(Elf64_Shdr),
                            .e_shnum = 3,
                            .e_shstrndx = 1 },
                .sections = { { .sh_type = SHT_NULL },
                              { .sh_offset = offsetof(__typeof__(elf), names),
                                .sh_size = sizeof(elf.names) },
                              { .sh_name = 1, .sh_offset = sizeof(elf) } },
        };
        uint32_t words[3] = { (uint32_t)strlen(owner) + 1, (uint32_t)strlen(note), 1 };
        char padded[128] = "";

        assert_true(strlen(owner) < sizeof(padded) && strlen(note) < sizeof(padded));
        elf.sections[2].sh_size =
                sizeof(words) + ((words[0] + 3) & ~3u) + ((words[1] + 3) & ~3u);
        (void)snprintf(elf.names + 1, sizeof(elf.names) - 1, "%s", section);
        strbuf_append_mem(file, &elf, sizeof(elf));
        strbuf_append_mem(file, words, sizeof(words));
        memcpy(padded, owner, strlen(owner));
        strbuf_append_mem(file, padded, (words[0] + 3) & ~3u);
        memset(padded, 0, sizeof(padded));
        memcpy(padded, note, strlen(note));
        strbuf_append_mem(file, padded, (words[1] + 3) & ~3u);
        assert_false(file->failed);
}

/* ---- ld.so.cache ---- */

void append_cache(struct strbuf *file, const struct cache_line *lines, size_t count)
{
        auto_strbuf struct strbuf strings = STRBUF_INIT;
        uint32_t words[7] = { (uint32_t)count };
        uint32_t start = (uint32_t)(48 + count * 24);

        strbuf_append_mem(file, "glibc-ld.so.cache1.1", 20);
        strbuf_append_mem(file, words, sizeof(words));
        for (size_t i = 0; i < count; i++) {
                uint32_t entry[6] = { lines[i].flags, start + (uint32_t)strings.length };

                strbuf_append_mem(&strings, lines[i].name, strlen(lines[i].name) + 1);
                entry[2] = start + (uint32_t)strings.length;
                strbuf_append_mem(&strings, lines[i].path, strlen(lines[i].path) + 1);
                strbuf_append_mem(file, entry, sizeof(entry));
        }
        strbuf_append_mem(file, strbuf_text(&strings), strings.length);
        assert_false(file->failed);
}
