"""What is wrong on a command line is told in one line that says what to do; exit status 1."""
import os

import harness

# (what is wrong, command line, what its one error says). $NAME is one of places() below.
MISTAKES = (
    ("no such command", "nosuch", "unknown command.*nosuch"),
    ("one word of a command of two", "cache", "unknown command: cache"),
    ("an option that no command has", "list --nosuch", "unknown option: --nosuch"),
    ("a short option that it has not", "remove -z here", "unknown option: -z"),
    ("an option without its value", "import -o", "-o.*(value|argument)"),
    ("a value for a switch", "list --fancy=yes", "--fancy takes no value"),
    ("too many words", "info one", "info.*too many"),
    ("too few words", "exec 1", "exec.*missing"),
    ("an unknown scheme", "import ftp://a/b", "ftp://a/b: .*docker://IMAGE"),
    ("no scheme", "import alpine", "alpine.*docker://"),
    ("a malformed reference", "import docker://UPPER", "UPPER"),
    ("an architecture that is none", "import -a vax docker://alpine", "vax"),
    ("an output that exists", "import -o $IMAGE docker://alpine", "exists"),
    ("an output in no directory", "import -o nowhere/x.sqsh docker://alpine", "output directory nowhere: No such"),
    ("an output in a directory of root", "import -o $ROOTS/x.sqsh docker://alpine",
     "$ROOTS.*[Pp]ermission"),
    ("a layout that is not there", "import oci:nowhere", "nowhere.*No such file"),
    ("an archive that is not there", "import docker-archive:nowhere.tar", "nowhere.tar.*No such"),
    ("an archive that is a directory", "import oci-archive:$HOME", "$HOME.*directory"),
    ("an archive that is text", "import -o x.sqsh docker-archive:$TEXT", "$TEXT"),
    ("no image of the name", "create nowhere.sqsh", "nowhere.sqsh.*No such file"),
    ("an image that is text", "create $TEXT", "$TEXT.*squashfs"),
    ("an image that is a directory", "create $HOME", "$HOME is not an image file"),
    ("a container that exists", "create -n here $IMAGE", "exists.*here .*--force"),
    ("a name with a slash", "create -n a/b $IMAGE", "a/b.*(slash|/)"),
    ("a container that is not there", "start nowhere", "nowhere.*enroot list"),
    ("a start of text", "start $TEXT", "$TEXT.*squashfs"),
    ("a mount of nothing", "start -m /nowhere:/mnt here", "/nowhere.*No such file"),
    ("a mount without a type", "start -m a:b:c:d:e here", "a:b:c:d:e"),
    ("a variable without a name", "start -e =x here", "=x"),
    ("a script that is not there", "start --rc nowhere here", "nowhere.*No such file"),
    ("a configuration that is not there", "start --conf nowhere here", "nowhere.*No such file"),
    ("a size that is none", "start --overlay tmpfs:big $IMAGE", "tmpfs:big"),
    ("a device that nobody describes", "start --device a.test/gpu=none here", "a.test/gpu"),
    ("a bundle of nothing", "bundle nowhere.sqsh", "nowhere.sqsh.*No such file"),
    ("a bundle of text", "bundle $TEXT", "$TEXT.*squashfs"),
    ("a policy that is none", "run --pull sometimes docker://alpine", "sometimes.*missing"),
    ("a compression that is none", "export --compress rar -o oci:x here", "rar.*gzip"),
    ("a batch without a configuration", "batch nowhere", "nowhere.*No such file"),
    ("a batch that names no root", "batch $TEXT", "ENROOT_ROOTFS"),
    ("no process of the number", "exec 4194303 true", "no process 4194303"),
    ("a process outside of containers", "exec $OURS true", "process $OURS is not yours"),
    ("a name of what does not run", "exec here true", "here is not running.*enroot start"),
    ("an export of what is not there", "export nowhere", "nowhere.*enroot list"),
    ("an export to a file that exists", "export -o $IMAGE here", "exists.*--output"),
    ("an export to a directory of root", "export -o $ROOTS/x.sqsh here", "$ROOTS.*[Pp]ermission"),
    ("a load onto a container that exists", "load -n here docker://alpine", "exists.*here .*--force"),
    ("a removal of what is not there", "remove -f nowhere", "no such container: nowhere.*enroot list"),
    ("a digest of nothing", "digest nowhere", "nowhere"),
    ("an inspection of text", "inspect $TEXT", "$TEXT is not a squashfs"),
    ("a run of nothing", "run nowhere.sqsh", "image file: nowhere.sqsh"),
    ("no limit to collect by", "cache gc", "--max-size"),
    ("a blob that is not there", "cache remove " + "0" * 64, "0000"),
    ("nothing to remove", "cache remove", "--all"),
    ("an unknown shell", "completion tcsh", "tcsh.*bash"),
)


class TestMistakes(harness.Case):
    def places(self):
        text = self.user.work + "/text"
        with open(text, "w") as file:
            file.write("nothing but text\n")
        roots = self.user.work + "/roots"
        os.mkdir(roots, 0o755)
        image = self.user.work + "/image.sqsh"
        os.link(harness.world.library.squashed("alpine"), image)
        return {"$TEXT": text, "$ROOTS": roots, "$IMAGE": image, "$HOME": self.user.home,
                "$OURS": str(os.getpid())}

    def test_each_is_one_error_that_says_what_to_do(self):
        self.container(name="here")
        places = self.places()

        def filled(text):
            for name, value in places.items():
                text = text.replace(name, value)
            return text

        before = harness.files_below(self.user.work)
        for what, line, says in MISTAKES:
            with self.subTest(what):
                result = self.refused(*filled(line).split(), says=filled(says))
                self.assertEqual(result.out, "")
                self.assertEqual(harness.files_below(self.user.work), before)
