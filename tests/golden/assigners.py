"""What each assigner computes for a picture, by the names that the reference's arrays have (assigners 15)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lad_jax.assign import atss, dynamic_soft_label, ota, pairs, simota, tal


def codes(assignment):
    """The object of each prior, -1 background, -2 without weight."""
    return jnp.where(assignment.positive, assignment.object, jnp.where(assignment.weight > 0, -1, -2))


def arrays_of_max_iou(assigner, options, scene, predictions):
    table = assigner.cost(scene, predictions)
    return {"max_iou": jnp.maximum(table.besides["iou"], 0.0), "assigned": codes(assigner.partition(table, scene))}


def arrays_of_atss(assigner, options, scene, predictions):
    table = assigner.cost(scene, predictions)
    mean, std, threshold = atss.statistics(table)
    return {
        "candidate": table.object >= 0,
        "iou": table.besides["iou"],
        "mean": mean,
        "std": std,
        "threshold": threshold,
        "assigned": codes(assigner.partition(table, scene)),
    }


def arrays_of_fcos(assigner, options, scene, predictions):
    answer = codes(assigner.partition(assigner.cost(scene, predictions), scene))
    return {"assigned" if options.centre_radius else "assigned_whole_box": answer}


def arrays_by_dynamic_k(assigner, options, scene, predictions, *, penalised, iou_sum):
    table = assigner.cost(scene, predictions)
    assignment = assigner.partition(table, scene)
    return {
        "eligible": jnp.any(table.object >= 0, axis=0),
        "cost": penalised(table),
        "iou": table.besides["iou"],
        "iou_sum": iou_sum(table, options),
        "dynamic_k": pairs.to_whole(iou_sum(table, options)),
        "matched_iou": assignment.target,
        "in_box_and_centre": table.compared,
        "assigned": codes(assignment),
    }


def arrays_of_simota(assigner, options, scene, predictions):
    return arrays_by_dynamic_k(
        assigner,
        options,
        scene,
        predictions,
        penalised=lambda table: simota.penalised(table, options),
        iou_sum=simota.iou_sum,
    )


def arrays_of_dynamic_soft_label(assigner, options, scene, predictions):
    return arrays_by_dynamic_k(
        assigner,
        options,
        scene,
        predictions,
        penalised=lambda table: dynamic_soft_label.penalised(table, scene),
        iou_sum=dynamic_soft_label.iou_sum,
    )


def arrays_of_ota(assigner, options, scene, predictions):
    table = assigner.cost(scene, predictions)
    supply, log_plan = ota.transport(table, scene, options)
    plan = jnp.exp(log_plan)
    shares = jnp.sort(plan / jnp.maximum(jnp.max(plan, axis=1, keepdims=True), 1e-30), axis=0)
    return {
        "allowed": table.compared,
        "cost": table.cost + jnp.where(table.compared, 0.0, ota.PENALTY),
        "iou": table.besides["iou"],
        "background_cost": (table.cost - table.besides["beyond_background"])[0],
        "supply": supply,
        "plan_row_sum": jnp.sum(plan, axis=1),
        "plan_row_max": jnp.max(plan, axis=1),
        "plan_column_sum": jnp.sum(plan, axis=0),
        "plan_best": shares[-1],
        "plan_second": shares[-2],
        "assigned": codes(assigner.partition(table, scene)),
    }


def arrays_of_tal(assigner, options, scene, predictions):
    table = assigner.cost(scene, predictions)
    assignment = assigner.partition(table, scene)
    return {
        "metric": table.besides["metric"],
        "iou": table.besides["iou"],
        "candidate": tal.best_by_metric(table, options),
        "metric_of_assigned": pairs.of_owner(table.besides["metric"], assignment.object),
        "target": assignment.target,
        "assigned": codes(assignment),
    }


def arrays_of_hungarian(assigner, options, scene, predictions):
    table = assigner.cost(scene, predictions)
    assignment, exact = assigner.partition(table, scene), table.besides["exact"]
    return {
        "cost": exact,
        "total_cost": jnp.sum(pairs.of_owner(exact, assignment.object)),
        "assigned": codes(assignment),
    }


def arrays_of_mal(assigner, options, scene, predictions):
    table = assigner.cost(scene, predictions)
    answers = [codes(assigner.partition(table, scene._replace(progress=jnp.asarray(t)))) for t in FRACTIONS]
    score = jnp.where(table.object >= 0, jnp.exp(-table.cost), 0.0)
    bag = jnp.where((table.object < 0) & ~scene.priors.valid, -2, table.object)
    return {"paper_bag": bag, "paper_score": score, "paper_assigned": jnp.stack(answers)}


FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Case(NamedTuple):
    """A form of an assigner, and where its reference is."""

    name: str
    arrays: Callable
    """From one picture to the arrays by the reference's names, over the canvas's priors and padded objects."""
    changes: Mapping[str, Any] = MappingProxyType({})
    """Options other than the defaults."""
    prefix: str = ""
    """Prefix of the form's arrays in the file."""
    penalty: float = np.inf
    """What the form adds to the cost of a pair that is not allowed."""


CASES = {
    "max_iou": Case("max_iou", arrays_of_max_iou),
    "atss": Case("atss", arrays_of_atss),
    "fcos": Case("fcos", arrays_of_fcos),
    "fcos_whole_box": Case("fcos", arrays_of_fcos, {"centre_radius": 0.0}),
    "simota": Case("simota", arrays_of_simota, {"target": "iou"}, penalty=1e5),
    "simota_yolox": Case("simota", arrays_of_simota, {"target": "iou", "form": "yolox"}, "yolox_", 1e6),
    "ota": Case("ota", arrays_of_ota, penalty=1e6),
    "tal": Case("tal", arrays_of_tal),
    "hungarian": Case("hungarian", arrays_of_hungarian),
    "mal": Case("mal", arrays_of_mal),
    "mal_ignored": Case("mal", arrays_of_mal, {"rest": "ignored"}),
    "dynamic_soft_label": Case("dynamic_soft_label", arrays_of_dynamic_soft_label),
}
