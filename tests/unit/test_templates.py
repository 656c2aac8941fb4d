"""One YAML file a template: its values, and the manifests that it must give."""

from pathlib import Path

import jinja2
import pytest
import yaml

import templates
from isthmus.render import render

CASES = sorted((Path(__file__).parents[1] / "cases/templates").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_template_gives_what_its_case_says(path):
    case = yaml.safe_load(path.read_text())
    assert render(case["template"], **case["values"]) == case["expect"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_template_that_lacks_a_value_says_so(path):
    case = yaml.safe_load(path.read_text())
    if case["values"]:
        with pytest.raises(jinja2.UndefinedError):
            render(case["template"])


def test_every_template_has_a_case():
    root = Path(templates.__path__[0])
    every = {str(p.relative_to(root)) for p in root.rglob("*.yaml.j2")}
    assert {yaml.safe_load(path.read_text())["template"] for path in CASES} == every
