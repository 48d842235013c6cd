"""The heads of the paper's appendix: which convolutions they have, and where they start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from lad_jax.models import Detector, ModelOptions, ResNetOptions
from lad_jax.models.heads import PAAHead

KINDS = {"none": set(), "implicit": {"objectness", "obj_bias"}, "conditional": {"coeff_conv"}}


def head_of(objectness, iou_branch, channels=8):
    return PAAHead(3, channels, 1, 4, objectness, iou_branch, jnp.dtype("float32"))


@pytest.mark.parametrize("iou_branch", [True, False])
@pytest.mark.parametrize("objectness", sorted(KINDS))
def test_convolutions_and_start(objectness, iou_branch):
    """Scores start near the released code's: 0.01, times 1/2 with objectness (spec 1.8)."""
    head, features = head_of(objectness, iou_branch), [jnp.ones((1, 6, 8, 8)), jnp.ones((1, 3, 4, 8))]
    outputs, variables = head.init_with_output(jax.random.key(0), features, [None, None])
    plain = jax.eval_shape(head_of("none", False).init, jax.random.key(0), features, [None, None])
    extra = set(variables["params"]) - set(plain["params"])
    assert extra == KINDS[objectness] | ({"atss_centerness"} if iou_branch else set())
    assert (outputs.quality_logit is None) == (not iou_branch)
    p = np.exp(np.asarray(outputs.class_log_p)).reshape(1, 60, 3)
    assert p.shape == outputs.class_log_not_p.shape
    inner = p[0, :48].reshape(6, 8, 3)[1:-1, 1:-1]
    expected = {"none": 0.01, "implicit": (0.01 - 1e-4) / 2, "conditional": 0.01 / 2}[objectness]
    np.testing.assert_allclose(inner, expected, rtol=0.2)
    if objectness == "conditional":  # neighbours beyond the border count as 1/2
        corner, edge = p[0, 0], p[0, 3]
        np.testing.assert_allclose(corner, (5 * 0.5 + 4 * 0.01) / 18, rtol=0.1)
        np.testing.assert_allclose(edge, (3 * 0.5 + 6 * 0.01) / 18, rtol=0.1)


def test_deformable_towers_start_with_small_offsets():
    """As all convolutions of the head; only the last of each tower is deformable."""
    head = PAAHead(3, 32, 2, 4, "none", True, jnp.dtype("float32"), deformable=True)
    params = head.init(jax.random.key(0), [jnp.ones((1, 2, 2, 32))], [None])["params"]
    deformable = {path[0] for path in flatten_dict(params) if "conv_offset" in path}
    assert deformable == {"cls_convs_1_conv", "reg_convs_1_conv"}
    for name in deformable:
        offset = params[name]["conv_offset"]
        np.testing.assert_allclose([offset["kernel"].mean(), offset["kernel"].std()], [0, 0.01], atol=1e-3)
        assert not offset["bias"].any()


def test_conditional_objectness_adds_20745_parameters():
    def count(objectness):
        model = Detector(ModelOptions(backbone=ResNetOptions(depth=18), objectness=objectness), 80)
        images, hw = jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64)
        shapes = jax.eval_shape(model.init, jax.random.key(0), images, hw)
        return sum(x.size for x in jax.tree.leaves(shapes["params"]))

    assert count("conditional") - count("none") == 20_745


def test_recomputation_in_the_towers_changes_nothing():
    """The same parameters give the same gradients, and every norm of either tower is computed again."""
    rng, regions = np.random.default_rng(0), [jnp.array([[5, 8], [6, 4]]), jnp.array([[3, 4], [3, 2]])]
    features = [jnp.asarray(rng.standard_normal((2, *hw, 8)), jnp.float32) for hw in [(6, 8), (3, 4)]]
    [checkpoint] = jax.make_jaxpr(jax.checkpoint(jnp.sin))(1.0).jaxpr.eqns

    def run(params, *, remat):
        head = PAAHead(3, 8, 2, 4, "none", True, jnp.dtype("float32"), remat=remat)

        def loss(params):
            return sum(jnp.mean(x**2) for x in head.apply(params, features, regions))

        recomputed = [e.primitive for e in jax.make_jaxpr(loss)(params).jaxpr.eqns].count(checkpoint.primitive)
        return recomputed, jax.jit(jax.grad(loss))(params)

    shapes = jax.eval_shape(head_of("none", True).copy(tower_convs=2).init, jax.random.key(0), features, regions)
    params = jax.tree.map(lambda x: jnp.asarray(rng.standard_normal(x.shape), x.dtype), shapes)
    (kept_norms, kept), (again_norms, again) = run(params, remat=False), run(params, remat=True)
    assert (kept_norms, again_norms) == (0, len(features) * 2 * 2)
    for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())
