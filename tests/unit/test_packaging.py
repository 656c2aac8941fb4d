"""What is installed is what we mean: our folders are nobody else's, their data comes along."""

from importlib.metadata import packages_distributions
from importlib.resources import files

import pytest


@pytest.mark.parametrize("name", ["flows", "tasks", "templates", "isthmus"])
def test_no_other_distribution_ships_our_top_level_names(name):
    assert set(packages_distributions().get(name, ["isthmus"])) == {"isthmus"}


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("templates", "istio-1.31/host.yaml.j2"),
        ("isthmus.stacks", "istio-1.31.yaml"),
        ("isthmus.providers.lab.toolchain", "go.lock"),
        ("isthmus.providers.lab.toolchain", "kubefed/go.mod"),
    ],
)
def test_data_is_found_beside_the_code(package, file):
    assert (files(package) / file).is_file()
