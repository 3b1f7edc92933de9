#include "gpu/elf_file.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

/* Headers of either class, in the wider one's terms. */
struct header {
        bool wide;
        uint16_t type, machine;
        uint64_t segments, sections; /* offsets of the tables */
        uint16_t segment_size, segment_count, section_size, section_count, names;
};

struct segment {
        uint32_t type;
        uint64_t offset, address, size;
};

struct section {
        uint32_t name;
        uint64_t offset, size;
};

ssize_t elf_read_fd(const struct elf_file *file, void *buffer, size_t size, uint64_t offset)
{
        return pread(file->fd, buffer, size, (off_t)offset);
}

ssize_t elf_read_memory(const struct elf_file *file, void *buffer, size_t size, uint64_t offset)
{
        if (offset >= file->size)
                return 0;
        if (size > file->size - offset)
                size = file->size - offset;
        memcpy(buffer, (const char *)file->memory + offset, size);
        return (ssize_t)size;
}

static bool read_exactly(const struct elf_file *file, void *buffer, size_t size, uint64_t offset)
{
        return offset <= INT64_MAX && file->read(file, buffer, size, offset) == (ssize_t)size;
}

#define COPY_HEADER(from)                                                                          \
        (struct header)                                                                            \
        {                                                                                          \
                .type = (from).e_type, .machine = (from).e_machine, .segments = (from).e_phoff,    \
                .sections = (from).e_shoff, .segment_size = (from).e_phentsize,                    \
                .segment_count = (from).e_phnum, .section_size = (from).e_shentsize,               \
                .section_count = (from).e_shnum, .names = (from).e_shstrndx,                       \
        }

static bool read_header(const struct elf_file *file, struct header *ret)
{
        unsigned char ident[EI_NIDENT];
        Elf64_Ehdr wide;
        Elf32_Ehdr narrow;

        if (!read_exactly(file, ident, sizeof(ident), 0) || memcmp(ident, ELFMAG, SELFMAG) != 0 ||
            ident[EI_DATA] != ELFDATA2LSB)
                return false;
        if (ident[EI_CLASS] == ELFCLASS64 && read_exactly(file, &wide, sizeof(wide), 0)) {
                *ret = COPY_HEADER(wide);
                ret->wide = true;
                return true;
        }
        if (ident[EI_CLASS] == ELFCLASS32 && read_exactly(file, &narrow, sizeof(narrow), 0)) {
                *ret = COPY_HEADER(narrow);
                return true;
        }
        return false;
}

static bool read_segment(const struct elf_file *file, const struct header *header,
                         unsigned int index, struct segment *ret)
{
        uint64_t offset = header->segments + (uint64_t)index * header->segment_size;
        Elf64_Phdr wide;
        Elf32_Phdr narrow;

        if (header->wide) {
                if (!read_exactly(file, &wide, sizeof(wide), offset))
                        return false;
                *ret = (struct segment){ wide.p_type, wide.p_offset, wide.p_vaddr, wide.p_filesz };
                return true;
        }
        if (!read_exactly(file, &narrow, sizeof(narrow), offset))
                return false;
        *ret = (struct segment){ narrow.p_type, narrow.p_offset, narrow.p_vaddr, narrow.p_filesz };
        return true;
}

static bool read_section(const struct elf_file *file, const struct header *header,
                         unsigned int index, struct section *ret)
{
        uint64_t offset = header->sections + (uint64_t)index * header->section_size;
        Elf64_Shdr wide;
        Elf32_Shdr narrow;

        if (index >= header->section_count)
                return false;
        if (header->wide) {
                if (!read_exactly(file, &wide, sizeof(wide), offset))
                        return false;
                *ret = (struct section){ wide.sh_name, wide.sh_offset, wide.sh_size };
                return true;
        }
        if (!read_exactly(file, &narrow, sizeof(narrow), offset))
                return false;
        *ret = (struct section){ narrow.sh_name, narrow.sh_offset, narrow.sh_size };
        return true;
}

/* A string of the file; "" when it is longer than a name may be. */
static void read_name(const struct elf_file *file, uint64_t offset, char name[ELF_NAME_LIMIT])
{
        ssize_t length = offset <= INT64_MAX ? file->read(file, name, ELF_NAME_LIMIT, offset) : -1;

        if (length <= 0 || !memchr(name, '\0', (size_t)length))
                name[0] = '\0';
}

/* ---- SONAME ---- */

/* What .dynamic says: where in the string table the SONAME is, and at which address that is. */
static bool read_dynamic(const struct elf_file *file, const struct header *header,
                         const struct segment *dynamic, uint64_t *ret_name, uint64_t *ret_strings)
{
        size_t size = header->wide ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
        uint64_t count = dynamic->size / size;
        bool has_name = false, has_strings = false;

        if (count > ELF_HEADERS_LIMIT)
                count = ELF_HEADERS_LIMIT;
        for (uint64_t i = 0; i < count; i += 64) {
                union {
                        Elf64_Dyn wide[64];
                        Elf32_Dyn narrow[64];
                } block;
                size_t here = count - i < 64 ? (size_t)(count - i) : 64;

                if (!read_exactly(file, &block, here * size, dynamic->offset + i * size))
                        return false;
                for (size_t j = 0; j < here; j++) {
                        int64_t tag =
                                header->wide ? block.wide[j].d_tag : block.narrow[j].d_tag;
                        uint64_t value = header->wide ? block.wide[j].d_un.d_val
                                                      : block.narrow[j].d_un.d_val;

                        if (tag == DT_NULL)
                                return has_name && has_strings;
                        if (tag == DT_SONAME) {
                                *ret_name = value;
                                has_name = true;
                        } else if (tag == DT_STRTAB) {
                                *ret_strings = value;
                                has_strings = true;
                        }
                }
        }
        return has_name && has_strings;
}

/* A SONAME becomes a file name, so it must be one. */
static bool is_file_name(const char *name)
{
        return *name && *name != '.' && !strchr(name, '/');
}

static void read_soname(const struct elf_file *file, const struct header *header,
                        char name[ELF_NAME_LIMIT])
{
        struct segment dynamic = { .type = PT_NULL }, segment;
        uint64_t offset, address;

        name[0] = '\0';
        for (unsigned int i = 0; i < header->segment_count && i < ELF_HEADERS_LIMIT; i++)
                if (read_segment(file, header, i, &segment) && segment.type == PT_DYNAMIC)
                        dynamic = segment;
        if (dynamic.type != PT_DYNAMIC || !read_dynamic(file, header, &dynamic, &offset, &address))
                return;
        for (unsigned int i = 0; i < header->segment_count && i < ELF_HEADERS_LIMIT; i++) {
                if (!read_segment(file, header, i, &segment) || segment.type != PT_LOAD ||
                    address < segment.address || address - segment.address >= segment.size ||
                    offset >= segment.size)
                        continue;
                read_name(file, segment.offset + (address - segment.address) + offset, name);
                break;
        }
        if (!is_file_name(name))
                name[0] = '\0';
}

bool elf_read_library(const struct elf_file *file, struct elf_library *ret)
{
        struct header header;

        if (!read_header(file, &header) || header.type != ET_DYN)
                return false;
        *ret = (struct elf_library){ .machine = header.machine, .wide = header.wide };
        read_soname(file, &header, ret->soname);
        return true;
}

/* ---- notes ---- */

static uint32_t word_at(const struct strbuf *text, size_t offset)
{
        uint32_t word;

        memcpy(&word, text->data + offset, sizeof(word));
        return word;
}

/* elf(5): three words, then name and descriptor, each padded to four bytes. */
static int find_note(const struct strbuf *notes, const char *owner, struct strbuf *descriptor)
{
        size_t at = 0, owner_size = strlen(owner) + 1;

        while (notes->length - at >= 3 * sizeof(uint32_t)) {
                size_t name_size = word_at(notes, at), size = word_at(notes, at + 4);
                size_t name = at + 3 * sizeof(uint32_t);
                size_t name_end = (name_size + 3) & ~(size_t)3, end = (size + 3) & ~(size_t)3;

                if (name_size > ELF_NOTE_LIMIT || size > ELF_NOTE_LIMIT ||
                    name_end > notes->length - name || size > notes->length - name - name_end)
                        return 0;
                if (name_size == owner_size && memcmp(notes->data + name, owner, owner_size) == 0)
                        return strbuf_append_mem(descriptor, notes->data + name + name_end, size) <
                                               0
                                       ? -1
                                       : 1;
                if (end > notes->length - name - name_end)
                        return 0;
                at = name + name_end + end;
        }
        return 0;
}

int elf_read_note(const struct elf_file *file, const char *section, const char *owner,
                  struct strbuf *descriptor)
{
        auto_strbuf struct strbuf notes = STRBUF_INIT;
        char name[ELF_NAME_LIMIT];
        struct header header;
        struct section names, found;
        auto_free char *content = NULL;

        if (!read_header(file, &header) || !read_section(file, &header, header.names, &names))
                return 0;
        for (unsigned int i = 0; i < header.section_count && i < ELF_HEADERS_LIMIT; i++) {
                if (!read_section(file, &header, i, &found) || found.name >= names.size)
                        continue;
                read_name(file, names.offset + found.name, name);
                if (strcmp(name, section) != 0 || found.size > ELF_NOTE_LIMIT)
                        continue;
                content = malloc((size_t)found.size + 1);
                if (!content)
                        return -1;
                if (!read_exactly(file, content, (size_t)found.size, found.offset))
                        return 0;
                if (strbuf_append_mem(&notes, content, (size_t)found.size) < 0)
                        return -1;
                return find_note(&notes, owner, descriptor);
        }
        return 0;
}

unsigned int elf_cache_flags(const struct elf_library *library)
{
        static const struct {
                uint16_t machine;
                bool wide;
                unsigned int flags;
        } machines[] = {
                { EM_X86_64, true, 0x0303 },  { EM_386, false, 0x0003 },
                { EM_AARCH64, true, 0x0a03 }, { EM_ARM, false, 0x0903 },
                { EM_PPC64, true, 0x0503 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
                if (machines[i].machine == library->machine && machines[i].wide == library->wide)
                        return machines[i].flags;
        return 0x0003; /* FLAG_ELF_LIBC6 with no architecture of its own */
}
