"""cluster model: the arithmetic of bench/cluster, by hand."""
import os
import sys
import unittest

BENCH = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../bench")
sys.path.append(BENCH)
import cluster_model  # noqa: E402

COSTS = {"compressed": 100, "image": 200, "touched": 10, "import_rate": 50, "disk_rate": 40,
         "start": 0.5, "registry": 200, "link": 25, "shared": 100, "fan_out": 2, "hop": 0.25}


class TestClusterModel(unittest.TestCase):
    def outcome(self, way, nodes, **other):
        found = way(cluster_model.Costs(**{**COSTS, **other}), nodes)
        return found.registry_bytes, found.seconds

    def test_the_depth_of_the_tree(self):
        self.assertEqual([cluster_model.depth(nodes, 2) for nodes in (1, 2, 3, 4, 7, 8, 4096)],
                         [0, 1, 1, 2, 2, 3, 12])
        self.assertEqual([cluster_model.depth(nodes, 1) for nodes in (1, 2, 5)], [0, 1, 4])
        self.assertEqual([cluster_model.depth(nodes, 4) for nodes in (5, 6, 21, 22)], [1, 2, 2, 3])

    def test_what_holds_up_an_import(self):
        way = cluster_model.import_per_node
        for rates, seconds in (({"link": 25}, 5.5),  # the disk: 200 / 40, and the start
                               ({"link": 10}, 10.5), ({"import_rate": 4}, 25.5),
                               ({"registry": 5}, 20.5)):
            self.assertEqual(self.outcome(way, 1, **rates), (100, seconds))

    def test_an_import_on_each_node(self):
        """The registry's 200 are shared by so many nodes: 2 for each of a hundred."""
        self.assertEqual(self.outcome(cluster_model.import_per_node, 100), (10000, 50.5))

    def test_one_import_passed_on(self):
        way = cluster_model.import_and_transfer
        self.assertEqual(self.outcome(way, 1), (100, 5.5))
        # Two nodes have the link to themselves; from three on, a node sends twice.
        self.assertEqual(self.outcome(way, 2), (100, 5.5 + 200 / 25 + 0.25))
        self.assertEqual(self.outcome(way, 3), (100, 5.5 + 200 / 12.5 + 0.25))
        self.assertEqual(self.outcome(way, 4096), (100, 5.5 + 200 / 12.5 + 12 * 0.25))
        self.assertEqual(self.outcome(way, 2, link=1000), (100, 5.5 + 200 / 40 + 0.25))

    def test_one_import_to_a_shared_cache(self):
        way = cluster_model.import_to_shared_cache
        self.assertEqual(self.outcome(way, 1), (100, 200 / 25 + 10 / 25 + 0.5))
        self.assertEqual(self.outcome(way, 100), (100, 200 / 25 + 100 * 10 / 100 + 0.5))

    def test_a_shared_image_file(self):
        way = cluster_model.shared_image
        self.assertEqual(self.outcome(way, 1), (0, 10 / 25 + 0.5))
        self.assertEqual(self.outcome(way, 4096), (0, 4096 * 10 / 100 + 0.5))
