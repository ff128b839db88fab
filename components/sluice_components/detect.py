"""Has the window moved? The detectors, in their own environment: the module that the local door runs."""

from kfp import dsl

from sluice_components import ALIBI_IMAGE


@dsl.container_component
def detect(window: dsl.Input[dsl.Dataset], finding: dsl.Output[dsl.Artifact]) -> dsl.ContainerSpec:
    """The detectors' task `window` to `finding`, which is empty where there was nothing to test.

    A container's command, since kfp cannot be installed beside alibi.
    """
    return dsl.ContainerSpec(
        image=ALIBI_IMAGE,
        command=["python", "-m", "sluice.watch.alibi"],
        args=["drift", window.path, "--into", finding.path],
    )
