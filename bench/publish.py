"""Results between marks of a document, which stays as it is around them."""

MARKS = "<!-- %s begin -->\n", "<!-- %s end -->"


def replace(path, what, content):
    """Put content between the marks of a document."""
    begin, end = (mark % what for mark in MARKS)
    with open(path) as file:
        before, found, rest = file.read().partition(begin)
    if not found or end not in rest:
        raise SystemExit("%s has no place for the %s" % (path, what))
    with open(path, "w") as file:
        file.write(before + begin + content + end + rest.partition(end)[2])
