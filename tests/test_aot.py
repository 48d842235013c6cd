"""The TPU compiler's account of a step: the search for what fits, and what is read from a program's text."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from benchmarks import aot
from lad_jax.models import Detector
from lad_jax.train.state import init_variables


@pytest.mark.parametrize("start", [1, 4, 6, 50])
@pytest.mark.parametrize(("fixed", "each", "limit"), [(0.5, 2.4, 15.75), (3.0, 0.9, 95.0), (9.0, 8.0, 15.75)])
def test_search_finds_the_largest_that_fits(fixed, each, limit, start):
    compiled = []

    def figures_of(n):
        compiled.append(n)
        memory = fixed + each * n + 0.01 * n % 0.05
        figures = {"memory_gib": {"arguments": 0.8 * fixed, "temporaries": memory - 0.8 * fixed}}
        return figures if memory <= 1.1 * limit else {"refused": "too much"}

    n = aot.largest(figures_of, start, limit)
    assert n == max([i for i in range(200) if fixed + each * i + 0.01 * i % 0.05 <= limit])
    assert not n or n in compiled
    assert len(compiled) == len(set(compiled)) <= 6


def test_collectives_of_a_program():
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))

    @partial(jax.shard_map, mesh=mesh, in_specs=PartitionSpec("data"), out_specs=PartitionSpec("data"), check_vma=False)
    def exchange(x):
        gathered = jax.lax.all_gather(x, "data")
        total = jax.lax.psum((x, 2 * x[:, :1].astype(jnp.int32)), "data")
        neighbour = jax.lax.ppermute(x, "data", [(i, (i + 1) % 4) for i in range(4)])
        return neighbour + total[0] + total[1] + gathered.sum(0)

    found = aot.collectives(jax.jit(exchange).lower(jnp.ones((8, 5))).compile().as_text())
    assert found["all-reduce"]["bytes"] == 2 * 5 * 4 + 2 * 4
    assert found["all-gather"] == {"count": 1, "bytes": 4 * 2 * 5 * 4}
    assert found["collective-permute"] == {"count": 1, "bytes": 2 * 5 * 4}
    assert set(found) == {"all-reduce", "all-gather", "collective-permute"}


def test_collectives_in_the_text_of_a_tpu():
    """With layouts, comments, one-byte and two-byte types, and pairs that begin and end."""
    text = """
  %all-reduce.1 = (bf16[]{:T(256)}, /*index=1*/bf16[3,3,128]{2,1,0:T(8,128)(2,1)}) all-reduce(%a, %b), channel_id=1
  %all-gather-start.2 = (f32[4]{0:T(128)}, f32[16]{0:T(128)}) all-gather-start(%c), dimensions={0}
  %all-gather-done.2 = f32[16]{0:T(128)} all-gather-done(%all-gather-start.2)
  ROOT %all-reduce.3 = pred[]{:T(512)} all-reduce(%d), to_apply=%or
  %get-tuple-element.4 = bf16[]{:T(256)} get-tuple-element(%all-reduce.1), index=0
"""
    assert aot.collectives(text) == {
        "all-reduce": {"count": 2, "bytes": 2 + 2 * 9 * 128 + 1},
        "all-gather": {"count": 1, "bytes": 64},
    }


@pytest.mark.slow
@pytest.mark.parametrize("row", ["paa_r50_1x", "lad_r50_r101_1x", "colad_r50_r101_1x"])
def test_a_tpus_compiler_takes_the_step(row):
    """Of each kind of method, with narrow networks: gradients are summed over the chips, in the option's dtype."""
    pytest.importorskip("libtpu", reason="libtpu is not installed: pip install 'lad-jax[tpu]'")
    case = aot.Case(f"configs/narrow.py:{row}", "v5e:2x2", "all", 2, 64, 96, 8, 80, "bfloat16")
    figures = aot.measure(case)
    options = aot.options_of(case, 8)
    assert options.train.gradients == "float32"
    params = jax.eval_shape(
        lambda: [init_variables(Detector(options.model_of(n), 80), 0) for n in options.roles.trained]
    )
    count = sum(x.size for variables in params for x in jax.tree.leaves(variables["params"]))
    assert figures["collectives"]["all-reduce"]["bytes"] >= 4 * count
