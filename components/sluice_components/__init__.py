"""The steps of the pipelines, one file each: paths in, one library call, paths and metrics out.

The image of a step is set where the graph is made (`sluice_pipelines`); these only stand in until then.
"""

IMAGE, ALIBI_IMAGE = "sluice/pipeline-python:0.1.0", "sluice/alibi-python:0.1.0"
