"""What the pipeline fans out over: one item a candidate."""

from typing import Dict, List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def candidates(settings: str, code: str) -> List[Dict]:  # type: ignore[type-arg]  # noqa: UP006
    """The training step's settings once a candidate, each with that candidate alone: another one's change is not its.

    A candidate whose search is shared out (`search.tasks`) comes once a task.

    A step of its own, and everything in the item: under `kfp.local` a fan-out takes a step's only output, and inside
    the fan-out every other step's value would be replaced by the item (kfp 2.17).
    """
    import json

    document = json.loads(settings)
    items = []
    for candidate in document["training"]["candidates"]:
        training = {**document["training"], "candidates": [candidate]}
        if candidate["kind"] not in ("network", "import"):
            # Where only a network reads the memory plan's settings, another answer trains nothing else anew.
            del training["memory"]
            training.pop("distributed", None)
        search = candidate.get("search") or {}
        shares = min(search.get("tasks") or 0, search.get("trials", 0))
        for number in range(shares) if shares > 1 else [None]:
            shared = (
                candidate if number is None else {**candidate, "search": {**search, "tasks": shares, "task": number}}
            )
            own = json.dumps({**document, "training": {**training, "candidates": [shared]}}, sort_keys=True)
            items.append({"id": candidate["id"], "settings": own, "code": code})
    return items
