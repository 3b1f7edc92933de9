"""Man pages say what the option tables say: every command, every option, and no other."""
import glob
import json
import os
import re

import harness

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
PAGES = ROOT + "/docs/man"


def read(path):
    with open(path) as file:
        return file.read()


def options_of_help(text):
    """("n", "name") or (None, "name") of each option that a help lists, --help left out."""
    found = re.findall(r"(?m)^ +(?:-(\w), )?--([\w-]+)", text.partition(" Options:\n")[2])
    return {(letter or None, name) for letter, name in found if name != "help"}


def options_of_page(text):
    """The same of ".It Fl n , -name Ar value" and ".It Fl -name" in a page's source.

    A page may refer to another one for "All options of" it.
    """
    found = set()
    for page in re.findall(r"(?m)^All options of\n\.Xr ([\w-]+) 1$", text):
        found |= options_of_page(read("%s/%s.1" % (PAGES, page)))
    for line in re.findall(r"(?m)^\.It Fl (.*)$", text):
        letter, name = re.match(r"(?:(\w) , )?-([\w-]+)", line).groups()
        found.add((letter, name))
    return {option for option in found if option[1] != "help"}


class TestManPages(harness.Case):
    def verbs(self):
        """Names of one or two words, each indented by three blanks in the help."""
        found = re.findall(r"(?m)^   (\w+(?: \w+)?)  +\S", self.enroot("help").out)
        self.assertIn("start", found)
        return [verb for verb in found if verb != "help"]

    def test_every_page_has_exactly_the_options_of_its_command(self):
        expected = {}
        for verb in self.verbs():
            options = options_of_help(self.enroot(*verb.split(), "--help").out)
            expected.setdefault(verb.split()[0], set()).update(options)
        for group in {verb.split()[0] for verb in self.verbs() if " " in verb}:
            expected[group] |= options_of_help(self.enroot(group, "--help").out)
        for command, options in expected.items():
            page = "%s/enroot-%s.1" % (PAGES, command)
            with self.subTest(command):
                found = options_of_page(read(page)) if os.path.exists(page) else set()
                self.assertEqual(found, options)

    def test_examples_have_commands_and_options_that_exist(self):
        verbs = {tuple(verb.split()): self.enroot(*verb.split(), "--help").out
                 for verb in self.verbs()}
        found = 0
        for page in sorted(glob.glob(PAGES + "/*.[1-7]")) + [ROOT + "/README.md"]:
            for line in re.findall(r"(?m)^(?:\.Dl )?(?:\$ )?enroot (.*?)(?: +#.*)?$", read(page)):
                words = line.split()
                verb = next((name for name in (tuple(words[:2]), tuple(words[:1]))
                             if name in verbs), None)
                with self.subTest("%s: %s" % (os.path.basename(page), line)):
                    self.assertIsNotNone(verb)
                    self.assert_options(verbs[verb], words[len(verb):])
                found += 1
        self.assertGreater(found, 20)

    def assert_options(self, text, words):
        """Options, which come before all other words, are those of a help."""
        while words and words[0].startswith("-") and words[0] not in ("-", "--"):
            word, _, value = words.pop(0).partition("=")
            known = re.search(r"(?m)^ +(?:-\w, )?%s(, --[\w-]+)?( [A-Z]\S*)?  " % re.escape(word),
                              text)
            self.assertIsNotNone(known, word)
            if known.group(2) and not value:
                words.pop(0)

    def test_enroot_conf_5_has_every_variable(self):
        settings = json.loads(self.enroot("info", "--json").out)["settings"]
        found = set(re.findall(r"\bENROOT_[A-Z_]+\b", read(PAGES + "/enroot.conf.5")))
        self.assertEqual({item["name"] for item in settings} - found, set())

    def test_pages_refer_to_pages_that_exist(self):
        for page in glob.glob(PAGES + "/*.[1-7]"):
            for name, section in re.findall(r"(?m)\bXr (enroot[\w.-]*) (\d)", read(page)):
                with self.subTest(os.path.basename(page)):
                    self.assertTrue(os.path.exists("%s/%s.%s" % (PAGES, name, section)), name)

    def test_enroot_1_has_every_command(self):
        page = read(PAGES + "/enroot.1")
        for command in {verb.split()[0] for verb in self.verbs()}:
            own = os.path.exists("%s/enroot-%s.1" % (PAGES, command))
            self.assertIn((".It Xr enroot-%s 1\n" if own else ".It Cm %s") % command, page)

    def test_every_page_is_installed_and_named_after_its_file(self):
        installed = re.findall(r"'(enroot[\w.-]*\.[15])'", read(PAGES + "/meson.build"))
        names = [os.path.basename(path) for path in glob.glob(PAGES + "/*.[15]")]
        self.assertEqual(sorted(installed), sorted(names))
        for name in names:
            title, section = name.rsplit(".", 1)
            self.assertIn(".Dt %s %s\n" % (title.upper(), section), read(PAGES + "/" + name))
