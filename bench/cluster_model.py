"""How long a job waits for its image on N nodes: four ways to bring it there, as arithmetic.

Each way is a row of phases that follow one another; within a phase everything overlaps, so it
takes as long as the slowest of what it needs. All nodes begin at once, are alike and do nothing
else; networks are shared evenly and have no other limit than those named here. What all ways
have in common is left out: Slurm's own launch, and the few kilobytes of manifests.
"""
import dataclasses


@dataclasses.dataclass
class Costs:
    """Sizes in bytes, rates in bytes a second, times in seconds."""
    compressed: float  # the layers, as the registry sends them
    image: float       # the image file that is made of them
    touched: float     # of the image file, what a task reads until it works
    import_rate: float  # of layers, that one node makes an image of when nothing else holds it up
    disk_rate: float   # that one node writes
    start: float       # what a container adds to a step when its image is there
    registry: float    # rate that the registry sends with, to all nodes together
    link: float        # rate of a node's network, in each direction
    shared: float      # rate of the shared file system, to or from all nodes together
    fan_out: int       # nodes that a node passes the image on to
    hop: float         # until a node that gets the image begins to pass it on


@dataclasses.dataclass
class Outcome:
    registry_bytes: float
    seconds: float     # until the last task has started


def depth(nodes, fan_out):
    """Steps from node 0 to the last node of the tree in which node i asks (i - 1) // fan_out."""
    steps, node = 0, nodes - 1
    while node > 0:
        node, steps = (node - 1) // fan_out, steps + 1
    return steps


def importing(costs, download, write):
    """Downloading, unpacking and writing overlap."""
    return max(costs.compressed / download, costs.compressed / costs.import_rate,
               costs.image / write)


def paging(costs, nodes):
    """Every node reads, from the shared file system, what its tasks touch."""
    return max(costs.touched / costs.link, nodes * costs.touched / costs.shared)


def import_per_node(costs, nodes):
    """Every node imports for itself: they share what the registry can send."""
    download = min(costs.link, costs.registry / nodes)
    return Outcome(nodes * costs.compressed,
                   importing(costs, download, costs.disk_rate) + costs.start)


def import_and_transfer(costs, nodes):
    """The first node imports; then a tree of nodes passes the image file on as it comes."""
    seconds = importing(costs, min(costs.link, costs.registry), costs.disk_rate)
    if nodes > 1:
        sent = costs.link / min(costs.fan_out, nodes - 1)
        seconds += costs.image / min(sent, costs.disk_rate) + \
            depth(nodes, costs.fan_out) * costs.hop
    return Outcome(costs.compressed, seconds + costs.start)


def import_to_shared_cache(costs, nodes):
    """The first node imports into a cache that all nodes see, and start from."""
    seconds = importing(costs, min(costs.link, costs.registry), min(costs.link, costs.shared))
    return Outcome(costs.compressed, seconds + paging(costs, nodes) + costs.start)


def shared_image(costs, nodes):
    """An image file that is there already, where all nodes see it."""
    return Outcome(0, paging(costs, nodes) + costs.start)


WAYS = {
    "an import on each node": import_per_node,
    "one import, passed on": import_and_transfer,
    "one import, shared cache": import_to_shared_cache,
    "a shared image file": shared_image,
}
