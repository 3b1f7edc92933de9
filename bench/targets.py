"""The aims of issue 7, each a figure of the same run with a limit.

A figure that the run does not have (a section left out, a peer that is missing) is named so.
"""


class Results:
    """Looks figures up in what a run wrote."""

    def __init__(self, results):
        self.results = results
        sizes = {name: known["mib"] for name, known in results["facts"].items() if "mib" in known}
        self.largest = max(sizes, key=sizes.get) if sizes else "large"

    def row(self, title, name, image=None):
        """The row of the table about an image (the largest one) whose title begins so."""
        image = image or self.largest
        for table, content in self.results["tables"].items():
            if table.startswith(title.replace("IMAGE", image + " image")):
                return content["rows"][name]
        raise KeyError(title)

    def seconds(self, title, name):
        return self.row(title, name)["median"]

    def ratio(self, title, name, other):
        return self.seconds(title, name) / self.seconds(title, other)

    def over_bare(self, title, name):
        """Milliseconds over fork and exec."""
        return (self.seconds(title, name) - self.seconds(title, "bare fork and exec")) * 1000

    def bare_import(self):
        """The limit of an import: what the cores or the disk need, whichever is longer."""
        known = self.results["facts"][self.largest]
        return max((known["hash_cpu"] + known["inflate_cpu"]) / self.results["machine"]["cores"],
                   self.seconds(IMPORT, "limit: write of the image to the disk"))

    def curve(self, title, name):
        return self.results["curves"][title]["series"][name]

    def memory_growth(self):
        line = self.curve("Import against MiB of content: memory, MiB", "enroot import")
        return line[-1][1] / line[0][1]

    def server_growth(self):
        """From the first quarter of the operations to the end."""
        line = self.curve("Memory of an image's file server", "enroot start, image file")
        return line[-1][1] / line[len(line) // 4][1]

    def inside(self, what, state):
        return self.ratio("%s, %s: IMAGE" % (what, state), "enroot start, image file",
                          "kernel squashfs, loop mount")


IMPORT, CREATE, LOAD = "Import of the IMAGE", "Create from the IMAGE", "Load of the IMAGE"
EXPORT, START, EXEC = ("Export of the IMAGE", "Start of /bin/true",
                       "A command in a running container")
AT_MOST, AT_LEAST = "at most", "at least"

TARGETS = [
    ("import, cold, in times of the bare work", AT_MOST, 1.5,
     lambda r: r.seconds(IMPORT, "enroot import") / r.bare_import()),
    ("`podman pull`, in times of a cold import", AT_LEAST, 6,
     lambda r: r.ratio(IMPORT, "podman pull", "enroot import")),
    ("`podman pull`, in times of a cold import with zstd 1", AT_LEAST, 4,
     lambda r: r.ratio(IMPORT, "podman pull", "enroot import, data compressed (zstd 1)")),
    ("memory of an import, MiB", AT_MOST, 256,
     lambda r: r.row(IMPORT, "enroot import")["memory_mib"]),
    ("memory at the most content, in times of that at the least", AT_MOST, 1.2,
     Results.memory_growth),
    ("cold import, in times of one with cached blobs", AT_LEAST, 1.3,
     lambda r: r.ratio(IMPORT, "enroot import", "enroot import, blobs cached")),
    ("`unsquashfs -processors 2`, in times of `create`", AT_LEAST, 2,
     lambda r: r.ratio(CREATE, "unsquashfs -processors 2", "enroot create")),
    ("`podman pull`, in times of `load`", AT_LEAST, 3,
     lambda r: r.ratio(LOAD, "podman pull", "enroot load")),
    ("export, in times of `mksquashfs`", AT_MOST, 1.2,
     lambda r: r.ratio(EXPORT, "enroot export", "mksquashfs, the same options")),
    ("start of a container over fork and exec, ms", AT_MOST, 2.5,
     lambda r: r.over_bare(START, "enroot start, small container")),
    ("start of an image file over fork and exec, ms", AT_MOST, 6,
     lambda r: r.over_bare(START, "enroot start, small image file")),
    ("exec over fork and exec, ms", AT_MOST, 2,
     lambda r: r.over_bare(EXEC, "enroot exec, by process")),
    ("starts of a container a second, 256 at once", AT_LEAST, 300,
     lambda r: dict(map(tuple, r.curve("Concurrent starts of /bin/true",
                                       "enroot start, container")))[256]),
    ("metadata walk, cold, in times of the kernel's squashfs", AT_MOST, 1.5,
     lambda r: r.inside("Metadata walk", "cold")),
    ("metadata walk, warm, in times of the kernel's squashfs", AT_MOST, 1.1,
     lambda r: r.inside("Metadata walk", "warm")),
    ("read of everything, cold, in times of the kernel's squashfs", AT_MOST, 1.5,
     lambda r: r.inside("Read of every file", "cold")),
    ("read of everything, warm, in times of the kernel's squashfs", AT_MOST, 1.1,
     lambda r: r.inside("Read of every file", "warm")),
    ("read by 64 processes, cold, in times of the kernel's squashfs", AT_MOST, 1.5,
     lambda r: r.inside("Read by 64 processes", "cold")),
    ("memory of the file server at the end, in times of that after a quarter", AT_MOST, 1.1,
     Results.server_growth),
]


def judged(results):
    """(words, bound, limit, figure or None) for each target."""
    found = Results(results)
    for words, bound, limit, figure in TARGETS:
        try:
            yield words, bound, limit, figure(found)
        except KeyError:
            yield words, bound, limit, None
