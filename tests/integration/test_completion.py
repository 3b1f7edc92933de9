"""completion: what bash, zsh and fish offer when somebody presses the tabulator key."""
import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

import harness

# Stands in for the program in interactive shells: shows its words, and lists as usual.
STAND_IN = 'enroot() { if [ "$1" = list ]; then command enroot list; else echo "GOT[$*]"; fi; }'


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, case, *argv):
        self.case, self.shown = case, ""
        self.leader, follower = pty.openpty()
        self.process = case.start(*argv, stdin=follower, stdout=follower, stderr=follower,
                                  start_new_session=True)
        os.close(follower)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.leader)

    def type(self, text, until):
        """Type text, and wait for what matches; returns the match."""
        self.shown = ""
        os.write(self.leader, text.encode())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(until, self.shown)
            if found:
                return found
            if select.select([self.leader], [], [], 1)[0]:
                self.shown += harness.text(os.read(self.leader, 4096))
        self.case.fail("no %s in:\n%s" % (until, self.shown))


class CompletionCase(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("$(touch gone)", "plain", "planes"):
            os.makedirs(self.data_path(name))
            os.chown(self.data_path(name), self.user.uid, self.user.gid)
        os.mkdir(self.user.work + "/images")
        for name in ("one.sqsh", "two words.sqsh", "other.txt", "images/three.sqsh"):
            open("%s/%s" % (self.user.work, name), "w").close()

    def tearDown(self):
        self.assertFalse(os.path.exists(self.user.work + "/gone"), "a name was executed")
        super().tearDown()

    def check_offers(self, offers):
        """Cases that all shells have in common; offers gives the words for a command line."""
        self.assertIn("start", offers("enroot", "st"))
        self.assertEqual(offers("enroot", "impo"), ["import"])
        self.assertEqual(offers("enroot", "cache", "ver"), ["verify"])
        self.assertIn("--force", offers("enroot", "create", "--fo"))
        self.assertEqual(offers("enroot", "completion", "z"), ["zsh"])
        self.assertEqual(offers("enroot", "remove", "pl"), ["plain", "planes"])
        self.assertEqual(offers("enroot", "remove", "x", "plane"), ["planes"])
        self.assertEqual(offers("enroot", "start", "--rc", "other.txt", "pla"), ["plain", "planes"])
        self.assertEqual(offers("enroot", "create", "o"), ["one.sqsh"])
        self.assertEqual(offers("enroot", "create", "--name", "o"), [])
        self.assertEqual(offers("enroot", "import", "--output", "ot"), ["other.txt"])
        self.assertEqual(offers("enroot", "create", "t"), ["two words.sqsh"])


class TestBash(CompletionCase):
    def offers(self, *words):
        script = 'source <(enroot completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
                 '_enroot; printf "%s\\n" "${COMPREPLY[@]}"'
        result = self.run_command("bash", "--norc", "-c", script, "bash", *words)
        self.assertEqual((result.code, result.err), (0, ""), result)
        return sorted(filter(None, result.out.split("\n")))

    def test_offers(self):
        self.check_offers(self.offers)
        self.assertEqual(self.offers("enroot", "remove", "$"), ["$(touch gone)"])
        self.assertEqual(self.offers("enroot", "import", "--output", "=", "ot"), ["other.txt"])
        self.assertEqual(self.offers("enroot", "start", "plain", "ot"), ["other.txt"])
        self.assertEqual(self.offers("enroot", "create", "one.sqsh", ""), [])
        self.assertEqual(self.offers("enroot", "nothing", ""), [])

    def test_on_a_terminal(self):
        with Terminal(self, "bash", "--norc", "--noprofile", "-i") as shell:
            shell.type("source <(enroot completion bash); " + STAND_IN + "; echo rea''dy\n", "ready")
            shell.type("enroot rem\t", "remove")
            shell.type("plan\t", "planes")
            shell.type("\n", r"GOT\[remove planes\]")
            shell.type("enroot create tw\t", "sqsh")
            shell.type("\n", r"GOT\[create two words\.sqsh\]")


@unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
class TestZsh(CompletionCase):
    def test_on_a_terminal(self):
        with Terminal(self, "zsh", "-f", "-i") as shell:
            shell.type("autoload -Uz compinit; compinit -u -D; source <(enroot completion zsh); "
                       + STAND_IN + "; echo rea''dy\n", "ready")
            for typed, seen, words in (
                    ("impo\t", "import", "import"),
                    ("create o\t", "one.sqsh", "create one.sqsh"),
                    ("create t\t", "words.sqsh", "create two words.sqsh"),
                    ("remove x plane\t", "planes", "remove x planes"),
                    ("start --rc other.txt plane\t", "planes", "start --rc other.txt planes"),
                    ("create --forc\t", "force", "create --force"),
                    ("cache ver\t", "verify", "cache verify"),
                    ("completion z\t", "zsh", "completion zsh")):
                shell.type("enroot " + typed, seen)
                shell.type("\n", r"GOT\[%s\]" % re.escape(words))

    def test_it_is_a_function_of_fpath(self):
        self.enroot("completion", "zsh")
        result = self.run_command(
            "zsh", "-f", "-c", "mkdir f; enroot completion zsh >f/_enroot; fpath=($PWD/f $fpath); "
            "autoload -Uz compinit; compinit -u -D; print -r -- $_comps[enroot]")
        self.assertEqual(result.out, "_enroot\n", result)


@unittest.skipUnless(shutil.which("fish"), "fish is not installed")
class TestFish(CompletionCase):
    def offers(self, *words):
        line = " ".join(words)
        result = self.run_command("fish", "--no-config", "-c",
                                  "enroot completion fish | source; complete -C '%s'" % line)
        self.assertEqual((result.code, result.err), (0, ""), result)
        # fish escapes what it offers, and tells directories besides.
        found = [offer.split("\t")[0].replace("\\ ", " ") for offer in result.out.splitlines()]
        return sorted(offer for offer in found if not offer.endswith("/"))

    def test_offers(self):
        self.check_offers(self.offers)
        self.assertIn("$(touch gone)", [offer.replace("\\", "") for offer in
                                        self.offers("enroot", "remove", "")])


class TestInstalled(harness.Case):
    def test_the_files_of_the_distributions(self):
        place = os.path.join(harness.world.bin, "../share")
        for shell, path in (("bash", "bash-completion/completions/enroot"),
                            ("zsh", "zsh/site-functions/_enroot"),
                            ("fish", "fish/vendor_completions.d/enroot.fish")):
            with open(os.path.join(place, path)) as file:
                self.assertEqual(file.read(), self.enroot("completion", shell).out)

    def test_other_shells(self):
        self.refused("completion", "tcsh", says="tcsh: bash, zsh or fish")
        self.refused("completion", says="missing argument")

    def test_bash_script_passes_shellcheck(self):
        script = self.enroot("completion", "bash").out
        result = subprocess.run(["shellcheck", "--shell=bash", "-"], input=script.encode(),
                                stdout=subprocess.PIPE)
        self.assertEqual(result.returncode, 0, harness.text(result.stdout))
