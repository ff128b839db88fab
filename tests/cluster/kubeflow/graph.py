"""Walks the graph of a compiled package as Kubeflow's driver does: resolves inputs, unrolls loops, collects outputs.

Covered: tasks in dependency order, parameters and artifacts between them, loops over a list with a limit to how many
run at a time, a field of a loop's item, collected artifacts, retries, conditions that ask a parameter for a word.
Anything else in a package is an error, never ignored. Not covered, because only Kubeflow's own servers have it:
caching, exit handlers, the UI.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Artifact = dict[str, Any]
_FIELD = re.compile(r'parseJson\(string_value\)\["(\w+)"\]')
_CONDITION = re.compile(r"inputs\.parameter_values\['([\w-]+)'\] == '(\w*)'")
_KNOWN = {
    "cachingOptions",
    "componentRef",
    "dependentTasks",
    "inputs",
    "iteratorPolicy",
    "parameterIterator",
    "retryPolicy",
    "taskInfo",
    "triggerPolicy",
}


@dataclass
class Values:
    """What goes into or comes out of a task: parameters, and artifacts as lists."""

    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[Artifact]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One container to run: where it stands in the graph, what it gets, and what the package says about its pod.

    Its `task` is the name alone, as it is in the address of every output, inside loops too.
    """

    name: str
    task: str
    component: dict[str, Any]
    container: dict[str, Any]
    platform: dict[str, Any]
    inputs: Values
    retries: int


Execute = Callable[[Step], Values]


class Package:
    """A compiled package: the pipeline's specification and, behind it, the platform's."""

    def __init__(self, path: Path) -> None:
        documents = list(yaml.safe_load_all(path.read_text()))
        self.spec: dict[str, Any] = documents[0]
        self._platform = (
            documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if len(documents) > 1 else {}
        )

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    def step(self, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Container and platform settings of an executor."""
        return self.spec["deploymentSpec"]["executors"][label]["container"], self._platform.get(label, {})

    def run(self, execute: Execute, **arguments: Any) -> dict[str, Values]:
        """Run all tasks; returns the outputs of each at the root."""
        root = self.spec["root"]
        return self._tasks(root["dag"]["tasks"], Values({**_defaults(root), **arguments}), execute, "")

    def _tasks(self, tasks: dict[str, Any], given: Values, execute: Execute, place: str) -> dict[str, Values]:
        done: dict[str, Values] = {}
        while waiting := [name for name in tasks if name not in done]:
            ready = [name for name in waiting if all(one in done for one in tasks[name].get("dependentTasks", []))]
            if not ready:
                raise ValueError(f"tasks wait for each other: {waiting}")
            done[ready[0]] = self._task(tasks[ready[0]], given, done, execute, place + ready[0])
        return done

    def _task(
        self, task: dict[str, Any], given: Values, done: dict[str, Values], execute: Execute, place: str
    ) -> Values:
        if unknown := set(task) - _KNOWN:
            raise ValueError(f"{place}: {sorted(unknown)} in a task is not covered here")
        inputs = _resolved(task.get("inputs", {}), given, done)
        if not _is_wanted(task.get("triggerPolicy", {}), inputs):
            return Values()
        iterator = task.get("parameterIterator")
        if iterator is None:
            return self._component(task, inputs, execute, place)
        items = inputs.parameters[iterator["items"]["inputParameter"]]

        def turn(numbered: tuple[int, Any]) -> Values:
            number, item = numbered
            own = Values({**inputs.parameters, iterator["itemInput"]: item}, inputs.artifacts)
            return self._component(task, own, execute, f"{place}-{number}")

        at_once = int(task.get("iteratorPolicy", {}).get("parallelismLimit", 0)) or len(items)
        with ThreadPoolExecutor(at_once) as pool:
            return _collected(list(pool.map(turn, enumerate(items))))

    def _component(self, task: dict[str, Any], inputs: Values, execute: Execute, place: str) -> Values:
        component = self.spec["components"][task["componentRef"]["name"]]
        inputs = Values({**_defaults(component), **inputs.parameters}, inputs.artifacts)
        if "dag" not in component:
            container, platform = self.step(component["executorLabel"])
            retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
            return execute(Step(place, task["taskInfo"]["name"], component, container, platform, inputs, retries))
        done = self._tasks(component["dag"]["tasks"], inputs, execute, f"{place}-")
        outputs = component["dag"].get("outputs", {})
        if unknown := set(outputs) - {"artifacts"}:
            raise ValueError(f"{place}: {sorted(unknown)} from a loop are not covered here")
        return Values(artifacts={name: _selected(one, done) for name, one in outputs.get("artifacts", {}).items()})


def _defaults(component: dict[str, Any]) -> dict[str, Any]:
    parameters = component.get("inputDefinitions", {}).get("parameters", {})
    return {name: one["defaultValue"] for name, one in parameters.items() if "defaultValue" in one}


def _is_wanted(trigger: dict[str, Any], inputs: Values) -> bool:
    if not trigger:
        return True
    asked = _CONDITION.fullmatch(trigger["condition"])
    if asked is None or set(trigger) != {"condition"}:
        raise ValueError(f"the trigger {trigger} is not covered here")
    return bool(inputs.parameters[asked[1]] == asked[2])


def _resolved(inputs: dict[str, Any], given: Values, done: dict[str, Values]) -> Values:
    return Values(
        {name: _parameter(one, given, done) for name, one in inputs.get("parameters", {}).items()},
        {name: _artifact(one, given, done) for name, one in inputs.get("artifacts", {}).items()},
    )


def _parameter(source: dict[str, Any], given: Values, done: dict[str, Values]) -> Any:
    rest = dict(source)
    selector = rest.pop("parameterExpressionSelector", None)
    (kind, where), *more = rest.items()
    if more:
        raise ValueError(f"{source}: more than one source of a parameter")
    match kind:
        case "componentInputParameter":
            value = given.parameters[where]
        case "taskOutputParameter":
            value = done[where["producerTask"]].parameters[where["outputParameterKey"]]
        case "runtimeValue":
            value = where["constant"]
        case _:
            raise ValueError(f"{kind} is not covered here")
    if selector is None:
        return value
    found = _FIELD.fullmatch(selector)
    if found is None:
        raise ValueError(f"the expression {selector} is not covered here")
    return value[found[1]]


def _artifact(source: dict[str, Any], given: Values, done: dict[str, Values]) -> list[Artifact]:
    ((kind, where),) = source.items()
    match kind:
        case "componentInputArtifact":
            return given.artifacts[where]
        case "taskOutputArtifact":
            return done[where["producerTask"]].artifacts[where["outputArtifactKey"]]
        case _:
            raise ValueError(f"{kind} is not covered here")


def _selected(output: dict[str, Any], done: dict[str, Values]) -> list[Artifact]:
    selectors = output["artifactSelectors"]
    return [one for each in selectors for one in done[each["producerSubtask"]].artifacts[each["outputArtifactKey"]]]


def _collected(turns: list[Values]) -> Values:
    names = {name for turn in turns for name in turn.artifacts}
    return Values(artifacts={name: [one for turn in turns for one in turn.artifacts[name]] for name in sorted(names)})
