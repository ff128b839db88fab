"""The steps of the pipelines, one file each: paths in, one library call, paths and metrics out.

The image of a step is set where the graph is made (`sluice_pipelines`); `IMAGE` only stands in until then.
"""

IMAGE = "sluice/pipeline-python:0.1.0"
