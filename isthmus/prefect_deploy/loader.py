"""From prefect.yaml to a plan, or to one error that names all that is wrong with the file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prefect import Flow
from prefect.exceptions import MissingFlowError, ScriptError
from prefect.flows import load_flow_from_entrypoint
from pydantic import BaseModel, ValidationError

from isthmus.environment import source
from isthmus.environment.diagnostics import Problem, UnreadableFile, Where, file_error
from isthmus.environment.loading import problem_of
from isthmus.environment.source import Document
from isthmus.errors import BadEnvironment
from isthmus.prefect_deploy import parameters
from isthmus.prefect_deploy.schema import Deployment, DeploymentFile, Schedule

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class PlannedDeployment:
    """One deployment as it shall be."""

    spec: Deployment
    flow: Flow[..., Any]
    parameters: dict[str, Any]
    schedules: list[tuple[Schedule, dict[str, Any]]]
    """Each with its own parameters, which come before the deployment's."""

    @property
    def name(self) -> str:
        """Its name on the server, where deployments are known with their flows."""
        return f"{self.flow.name}/{self.spec.name}"


@dataclass
class DeploymentPlan:
    """All that a file asks for."""

    owner: str
    deployments: list[PlannedDeployment] = field(default_factory=list)
    environments: set[str] = field(default_factory=set)


def read(path: Path) -> DeploymentPlan:
    """Return what the file asks for; nothing is written.

    Raises BadEnvironment with file, line, key and rule, also for parameters that a flow would
    refuse.
    """
    document, file = parse(path, DeploymentFile)
    reader = _Reader(document, path, DeploymentPlan(file.name))
    for index, spec in enumerate(file.deployments):
        reader.deployment(spec, ("deployments", index))
    problems = [*reader.problems, *_find_duplicates(document, reader.plan)]
    if problems:
        raise refused(path, problems)
    return reader.plan


def parse(path: Path, model: type[M]) -> tuple[Document, M]:
    """Return a YAML file's document and what the model makes of it; raises BadEnvironment."""
    try:
        document = source.read(path)
        return document, model.model_validate(document.data)
    except UnreadableFile as error:
        raise refused(path, [error.problem]) from None
    except ValidationError as error:
        found = [problem_of(document, e, model=model) for e in error.errors(include_url=False)]
        raise refused(path, found) from None


def refused(path: Path, problems: list[Problem]) -> Exception:
    """Return the one error that names every problem."""
    return file_error(path, problems, again="isthmus deploy")


class _Reader:
    def __init__(self, document: Document, path: Path, plan: DeploymentPlan) -> None:
        self.document = document
        self.folder = path.absolute().parent
        self.plan = plan
        self.problems: list[Problem] = []

    def deployment(self, spec: Deployment, where: Where) -> None:
        flow = self._flow(spec.entrypoint, (*where, "entrypoint"))
        if flow is None:
            return
        given = self._check_parameters(flow, spec.parameters, (*where, "parameters"))
        schedules = [
            (schedule, self._schedule(flow, schedule, given, (*where, "schedules", i)))
            for i, schedule in enumerate(spec.schedules)
        ]
        self.plan.deployments.append(PlannedDeployment(spec, flow, given, schedules))

    def _schedule(
        self, flow: Flow[..., Any], schedule: Schedule, given: dict[str, Any], where: Where
    ) -> dict[str, Any]:
        own = self._check_parameters(flow, schedule.parameters, (*where, "parameters"), given)
        for name in parameters.missing(flow, {*given, *own, *schedule.parameters}):
            rule = (
                f"must have parameter {name}, which flow {flow.name} needs: nobody fills in a form"
            )
            self._add((*where, "parameters"), rule)
        return own

    def _check_parameters(
        self,
        flow: Flow[..., Any],
        given: dict[str, Any],
        where: Where,
        around: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the values of parameters; those `around` hold where these say nothing."""
        asked = parameters.check_parameters(flow, given, self.document, where, self.folder)
        self.problems += asked.problems
        if asked.values:
            try:
                self.plan.environments |= parameters.environments(
                    {**(around or {}), **asked.values}
                )
            except BadEnvironment as error:
                self._add(where, error.message)
        return asked.values

    def _flow(self, entrypoint: str, where: Where) -> Flow[..., Any] | None:
        try:
            if not all(part.isidentifier() for part in entrypoint.split(".")):
                raise ValueError
            return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        except (MissingFlowError, ScriptError, ImportError, ValueError):
            self._add(
                where, "must name a flow by its module, such as flows.build.build", entrypoint
            )
            return None

    def _add(self, where: Where, rule: str, got: str = "") -> None:
        self.problems.append(Problem(self.document.line(where), where, rule, got))


def _find_duplicates(document: Document, plan: DeploymentPlan) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, planned in enumerate(plan.deployments):
        where: Where = ("deployments", index)
        if planned.name in seen:
            rule = "must be unique among the deployments of its flow"
            yield Problem(document.line(where), (*where, "name"), rule, planned.spec.name)
        seen.add(planned.name)
        slugs = [schedule.slug for schedule in planned.spec.schedules]
        for i, slug in enumerate(slugs):
            if slug in slugs[:i]:
                place: Where = (*where, "schedules", i, "slug")
                yield Problem(document.line(place), place, "must be unique here", slug)
