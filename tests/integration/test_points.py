"""Points: what the cache notes about large layers, so that the next import uses all cores."""
import os
import random

import harness
import images
from test_cache import CacheCase

WORDS = [b"the ", b"quick ", b"brown ", b"fox ", b"jumps\n", b"over ", b"a ", b"lazy ", b"dog\n"]


def text(size, seed):
    """Compresses well, and differently everywhere."""
    noise = random.Random(seed)
    return b"".join(noise.choices(WORDS, k=size // 4))[:size]


class TestPoints(CacheCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lower, upper = images.Tar(), images.Tar()
        for number in range(3):
            lower.file("usr/%d" % number, text(5 << 20, number))
        lower.file("gone/file", text(2 << 20, 9))
        upper.file("usr/new", b"text\n").whiteout("gone")
        cls.tars = lower, upper

    def setUp(self):
        super().setUp()
        layout = images.layout(self.user.work + "/layout", self.tars)
        images.push(layout, self.host(), "tests/points")

    @staticmethod
    def host():
        return harness.world.servers.plain.host

    def imported(self, name, **more):
        """The bytes of the image, once imported."""
        self.enroot("import", "-o", name, "docker://%s#tests/points" % self.host(), **more)
        with open(self.user.work + "/" + name, "rb") as file:
            return file.read()

    def points(self):
        names = [name for name in os.listdir(self.cache_path()) if name.endswith(".points")]
        return [self.cache_path(name) for name in names]

    def test_the_second_import_makes_the_same_image(self):
        first = self.imported("a.sqsh")
        self.assertEqual(len(self.points()), 1)
        self.assertEqual([item["kind"] for item in self.items()].count("points"), 1)
        before = self.sent()
        for number, processors in enumerate(("1", "2", "5")):
            self.env["ENROOT_MAX_PROCESSORS"] = processors
            self.assertEqual(self.imported("b%d.sqsh" % number), first)
        self.assertEqual(self.sent(), before)
        self.enroot("cache", "verify")

    def test_points_are_not_needed(self):
        first = self.imported("a.sqsh")
        os.unlink(self.points()[0])
        self.assertEqual(self.imported("b.sqsh"), first)
        self.assertEqual(len(self.points()), 1)

    def test_damaged_points_are_replaced(self):
        first = self.imported("a.sqsh")
        path = self.points()[0]
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            file.seek(size - 10)
            file.write(b"\xff" * 10)
        self.assertEqual(self.imported("b.sqsh"), first)
        # Inside, damage shows when the layer is being read.
        for keep in (size, size // 2, 10, 0):
            with open(path, "r+b") as file:
                file.seek(0)
                file.write(b"\xff" * min(size - 400, keep))
                file.truncate(keep)
            self.assertEqual(self.imported("c%d.sqsh" % keep), first)
            # Where they lie depends on how the layer arrives, and so does their size.
            with open(path, "rb") as file:
                content = file.read()
            self.assertGreater(len(content), size // 2)
            self.assertNotEqual(content[:10], b"\xff" * 10)

    def test_a_damaged_layer_is_still_found(self):
        first = self.imported("a.sqsh")
        self.damage(self.biggest()["digest"])
        self.assertEqual(self.imported("b.sqsh"), first)
