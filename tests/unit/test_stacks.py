"""Which versions go together."""

from typing import get_args

import pytest
from pydantic import ValidationError

from isthmus import stacks
from isthmus.environment import Environment, Images
from isthmus.environment.sections import IMAGE_SOURCE_KEYS
from isthmus.errors import BadEnvironment


def test_the_words_for_stacks_are_the_stacks_that_exist():
    words = get_args(Environment.model_fields["stack"].annotation)
    assert sorted(words) == stacks.names() != []


@pytest.mark.parametrize("name", stacks.names())
def test_every_stack_loads_with_all_its_images_and_its_own_kubernetes_in_its_window(name):
    stack = stacks.load(name)
    assert stack.name == name
    assert None not in stack.images.model_dump(exclude=set(IMAGE_SOURCE_KEYS)).values()
    assert stack.kubernetes.holds(stack.versions.kubernetes)


def test_istio_1_31_is_what_the_lab_was_proved_with():
    stack = stacks.load("istio-1.31")
    assert (stack.versions.istio, stack.versions.kubefed) == ("1.31.0", "0.10.0")
    assert (stack.kubernetes.min, stack.kubernetes.max) == ("1.32", "1.36")
    assert (stack.images.tag, stack.images.pull_policy) == ("1.31.0", "IfNotPresent")


@pytest.mark.parametrize(
    ("version", "held"),
    [
        ("v1.32.0", True),
        ("1.36.3", True),
        ("v1.34.5-gke.100", True),
        ("1.31.9", False),
        ("v1.37.0", False),
        ("1.4.0", False),
        ("2.33.0", False),
    ],
)
def test_a_server_is_in_the_window_by_its_minor(version, held):
    assert stacks.load("istio-1.31").kubernetes.holds(version) is held


def test_a_stack_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(BadEnvironment, match="no stack 'istio-9'") as caught:
        stacks.load("istio-9")
    assert "istio-1.31" in caught.value.hint


def test_a_stack_must_name_every_image():
    stack = stacks.load("istio-1.31").model_dump()
    with pytest.raises(ValidationError, match="missing: hub"):
        stacks.Stack.model_validate({**stack, "images": {**stack["images"], "hub": None}})


def test_an_environments_images_go_over_the_stacks():
    images = Images(tag="1.31.1").with_defaults(stacks.load("istio-1.31").images)
    assert images.tag == "1.31.1"
    assert images.hub == stacks.load("istio-1.31").images.hub
