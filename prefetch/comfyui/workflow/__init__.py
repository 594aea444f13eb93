"""A ComfyUI workflow → exactly the model files it loads.

    from prefetch.comfyui.workflow import models_in

    found = models_in(Path("workflow.json"))
    for model in found.models:
        print(model.folder, model.name, model.url, model.required)

What counts is what the graph really loads: the widgets' values, as links, subgraph hosts and switches make them, of the
nodes that are neither muted nor bypassed. ``properties.models`` only adds the address and hash of a file whose name
agrees. What cannot be decided stands in ``unresolved``; nothing is guessed.
"""

from prefetch.comfyui.workflow.findings import NeededFor, SelfDownloaded, Unresolved, WorkflowModel, WorkflowModels
from prefetch.comfyui.workflow.loaders import LoaderTable, load_table
from prefetch.comfyui.workflow.resolution import models_in

__all__ = [
    "LoaderTable",
    "NeededFor",
    "SelfDownloaded",
    "Unresolved",
    "WorkflowModel",
    "WorkflowModels",
    "load_table",
    "models_in",
]
