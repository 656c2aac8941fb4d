"""The plan: all that a build applies and runs, per cluster and in order, for a person to read.

Secrets are masked, and the one value that only a running host knows is named instead.
"""

from isthmus.plan.manual_step import ManualStep
from isthmus.plan.sequence import entries, find_istioctl, image_names
from isthmus.plan.writing import write

__all__ = ["ManualStep", "entries", "find_istioctl", "image_names", "write"]
